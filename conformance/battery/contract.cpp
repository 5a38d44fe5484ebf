// What every call promises, watched in all scenarios (face/buffer.h, face/socket.cpp, records.cpp), and here on calls that are
// made to tempt an implementation.
#include "battery/scenario.h"
#include "catalogue/contract.h"
#include "catalogue/outcomes.h"

namespace sockproof {

SCENARIO(Contract, EveryBufferKeepsItsEnd, kConnections, contract::output_within_length, contract::possible_result) {
  Pair pair = ConnectedPair(net);
  const Payload payload{3, 0, 1000};
  SendAll(pair.client, payload);
  // Less room than there is data, on each form; the face watches every byte beyond.
  bool possible = true;
  for (const int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    RecvOptions options;
    options.form = form;
    if (form == SP_FORM_MESSAGE || form == SP_FORM_VECTOR) options.pieces = {1, 10, 89};
    if (form == SP_FORM_ADDRESS) options.from = AskAddress{};
    const RecvResult received = pair.server.Recv(100, options);
    possible = possible && received.ok() && received.value() >= 1 && received.value() <= 100;
    if (net.type == SP_SEQPACKET) SendAll(pair.client, payload);  // the rest of a record is gone
  }
  CHECK_REQUIREMENT(contract::possible_result, Holds(possible, "recv into 100 bytes, 1000 waiting"));

  // More room than there is data: what is behind it is the face's to watch as well.
  Pair roomy = ConnectedPair(net);
  for (const int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    RecvOptions options;
    options.form = form;
    if (form == SP_FORM_MESSAGE || form == SP_FORM_VECTOR) options.pieces = {1, 10, 89};
    SendAll(roomy.client, Payload{4, 0, 7});
    static_cast<void>(Must(roomy.server.Recv(100, options)));
  }

  bool kept = true;
  for (const int32_t length : {0, 1, 2, 3, 7, 8, 15, 16, 27, 28}) {
    AskAddress ask;
    ask.length = length;
    for (const NameResult& name : {pair.server.LocalName(ask), pair.server.PeerName(ask)}) {
      for (std::size_t i = static_cast<std::size_t>(length); i < name.raw.size(); ++i)
        kept = kept && name.raw[i] == GuardedBuffer::kPoison;
    }
  }
  CHECK_REQUIREMENT(contract::output_within_length, Holds(kept, "names into short buffers"));
}

SCENARIO(Contract, ASendLeavesItsData, kConnections, contract::input_untouched) {
  Pair pair = ConnectedPair(net);
  const std::vector<uint8_t> data = Payload{5, 0, 100}.Bytes();
  for (const int32_t form : {SP_FORM_DEFAULT, SP_FORM_FILE, SP_FORM_ADDRESS, SP_FORM_MESSAGE, SP_FORM_VECTOR}) {
    std::vector<uint8_t> sent = data;
    SendOptions options;
    options.form = form;
    const Result result = Must(pair.client.SendBuffers({sp_buffer{sent.data(), sent.size(), SP_POINTER_VALID, 0}}, options));
    CHECK_REQUIREMENT(contract::input_untouched, Holds(sent == data, result.text()));
  }
}

SCENARIO(Contract, ClosedSocketsLeaveNoHandles, kConnections.Needs({SP_CAP_HANDLE_COUNT}), contract::handles_released) {
  Host& host = Host::Get();
  uint64_t before = 0, after = 0;
  host.Expect(host.counters.open_handles(host.self(), &before), "handle_count", "count the open handles");
  for (int round = 0; round < 8; ++round) {
    Pair pair = ConnectedPair(net);
    Socket copy;
    static_cast<void>(Must(pair.client.Duplicate(&copy)));
  }
  host.Expect(host.counters.open_handles(host.self(), &after), "handle_count", "count the open handles");
  CHECK_REQUIREMENT(contract::handles_released, Same(after, before, "open handles after eight connections came and went"));
}

SCENARIO(Contract, FailedCallsLeaveNoHandles, kConnections.Needs({SP_CAP_HANDLE_COUNT}), contract::handles_released) {
  Host& host = Host::Get();
  Listener listener = ListenOn(net);
  static_cast<void>(Must(listener.socket.SetModes(SP_NONBLOCKING)));
  Listener bound = BoundOn(net);
  uint64_t before = 0, after = 0;
  host.Expect(host.counters.open_handles(host.self(), &before), "handle_count", "count the open handles");
  for (int round = 0; round < 8; ++round) {
    static_cast<void>(listener.socket.Accept());  // nothing waits
    static_cast<void>(bound.socket.Accept());     // does not listen
    static_cast<void>(bound.socket.Bind(net.ToBind()));
    Socket client = net.NewConnecting();
    static_cast<void>(client.Connect(bound.address));  // refused
    static_cast<void>(client.Listen(-1));
  }
  host.Expect(host.counters.open_handles(host.self(), &after), "handle_count", "count the open handles");
  CHECK_REQUIREMENT(contract::handles_released, Same(after, before, "open handles after calls that failed"));
}

}  // namespace sockproof
