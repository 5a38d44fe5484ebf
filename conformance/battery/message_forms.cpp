// The same flags through each of the calls that take them: an implementation has a path of its own for every one.
#include "battery/scenario.h"
#include "battery/waiting.h"
#include "catalogue/message.h"
#include "catalogue/outcomes.h"

namespace sockproof {
namespace {

constexpr int32_t kFormsWithFlags[] = {SP_FORM_DEFAULT, SP_FORM_ADDRESS, SP_FORM_MESSAGE};

RecvOptions Receiving(int32_t form, uint32_t flags) {
  RecvOptions options;
  options.form = form;
  options.flags = flags;
  return options;
}

}  // namespace

SCENARIO(Message, FlagsOfReceivingCountInEveryForm, kStreams, message::dontwait_empty, message::peek_keeps,
         message::waitall_waits) {
  Pair pair = ConnectedPair(net);
  uint64_t offset = 0;
  for (const int32_t form : kFormsWithFlags) {
    CHECK_REQUIREMENT(message::dontwait_empty, WithoutWaiting([&pair, options = Receiving(form, SP_MSG_DONTWAIT)] {
                        return pair.server.Recv(10, options);
                      }));

    const Payload few{15, offset, 50};
    SendAll(pair.client, few);
    MustBeReady(pair.server, SP_IN);
    const RecvResult seen = pair.server.Recv(50, Receiving(form, SP_MSG_PEEK)), taken = pair.server.Recv(50, Receiving(form, 0));
    const auto right = [&few](const RecvResult& each) {
      return each.ok() && each.data.size() == few.length && few.Difference(each.data.data(), few.length).empty();
    };
    CHECK_REQUIREMENT(message::peek_keeps,
                      Holds(right(seen) && right(taken), fmt::format("form {}: {}; {}", form, seen.text(), taken.text())));
    offset += few.length;

    const Payload many{15, offset, 1000};
    SendAll(pair.client, Payload{15, offset, 400});
    MustBeReady(pair.server, SP_IN);
    auto receiver =
        Spawn("receiver", [&pair, options = Receiving(form, SP_MSG_WAITALL)] { return pair.server.Recv(1000, options); });
    const bool waited = receiver.WaitBlocked();
    SendAll(pair.client, Payload{15, offset + 400, 600});
    const RecvResult all = receiver.Join();
    CHECK_REQUIREMENT(message::waitall_waits,
                      Holds(waited && all.value() == 1000 && many.Difference(all.data.data(), all.data.size()).empty(),
                            fmt::format("form {}, waited: {}; {}", form, waited, all.text())));
    offset += many.length;
  }
}

}  // namespace sockproof
