// Every text of a call or result must come back as what it was made from: texts are what crosses to another process.
#include "face/codec.h"

#include <cstring>

#include <gtest/gtest.h>

#include "face/address.h"
#include "face/names.h"

namespace sockproof {
namespace {

std::string Again(const std::string& text) {
  OwnedCall call;
  std::string why;
  if (!ParseCall(text, &call, &why)) return "refused: " + why;
  TextOptions whole;
  whole.max_bytes = 1 << 20;
  return CallText(call.call, whole);
}

TEST(Codec, CallsComeBackAsTheyWere) {
  for (const char* text : {
           "socket family=inet",
           "socket family=inet6 type=3 protocol=6 modes=nonblocking|cloexec",
           "socketpair family=unix",
           "bind s5 address=inet:127.0.0.1:0",
           "bind s5 address=inet6:[0:0:0:0:0:0:0:1]:8080",
           "bind s5 address=unix:/tmp/x,length=3",
           "bind s5 address=null,length=-1",
           "listen s5 backlog=128",
           "listen not_socket",
           "connect s6 address=inet:1.2.3.4:65535",
           "connect s6 address=unspec",
           "accept s5 form=1 modes=nonblocking peer=valid,valid,128",
           "accept invalid",
           "accept s5 peer=valid,valid,128 condition=ask callback_data=77",
           "accept s5 condition_pointer=bad",
           "accept s5 peer=valid,valid,32 extended=1 accept_on=s9 first_data_length=10 output=10 local=valid,valid,32",
           "accept s5 extended=2 accept_on=not_socket output=0:null",
           "connect s6 address=conndata:[0:0:0:0:0:0:0:1]:7 caller_data=3:616263 callee_room=16 qos=1,2,3,4,5,4294967295",
           "connect s6 address=conndata:[0:0:0:0:0:0:0:0]:7 callee_room=2:bad group_qos=1",
           "connect s6 address=inet:127.0.0.1:7 extended=1 first_data=2:0aff",
           "disconnect s7 reuse=1 reserved=3 extra_flags=4 extended=1",
           "disconnect s7",
           "send s7 flags=oob|nosignal data=3:616263",
           "send s7 form=3 flags=nosignal passes=s9 passes=s10 data=1:61",
           "send s7 form=2 to=inet:127.0.0.1:9 data=0:",
           "recv s7 flags=peek room=4096",
           "recv s7 form=3 from=valid,valid,128 handle_room=2 room=1,2,3",
           "shutdown s7 how=2",
           "shutdown s7 how=0",
           "close s7",
           "get_option s7 option=SO_ERROR",
           "set_option s7 option=SO_LINGER linger=1,0",
           "set_option s7 option=SO_RCVTIMEO duration_ns=250000000",
           "set_option s7 option=TCP_NODELAY integer=1 value=bad",
           "ioctl s7 request=3 argument=1",
           "ioctl s7 request=0",
           "local_name s7 name=valid,valid,2",
           "peer_name s7 name=null,valid,16",
           "set_mode s7 set=nonblocking",
           "get_mode s7",
           "duplicate s7",
           "duplicate s7 onto=1 target=s9",
           "watch_create mechanism=epoll modes=cloexec",
           "watch_add s7 watcher=w3 events=in|rdhup flags=1 cookie=99",
           "watch_wait w3 timeout_ns=1000000 room=4",
           "watch_add s7 watcher=w3 events=fd_accept|fd_close",
           "watch_wait w3 timeout_ns=0 room=1 step=1",
           "watch_wait w3 timeout_ns=0 room=16 step=2 socket=s7 keep_event=1",
           "watch_close w3",
       }) {
    EXPECT_EQ(Again(text), text);
  }
}

TEST(Codec, NamedPayloadIsMadeAgain) {
  OwnedCall call;
  std::string why;
  ASSERT_TRUE(ParseCall("send s7 payload=7,1024,40 pieces=10,30", &call, &why)) << why;
  ASSERT_EQ(call.call.u.send.buffer_count, 2u);
  const Payload payload{7, 1024, 40};
  EXPECT_EQ(payload.Difference(static_cast<const uint8_t*>(call.call.u.send.buffers[0].data), 40), "");
  TextOptions named;
  named.payload = &payload;
  EXPECT_EQ(CallText(call.call, named), "send s7 payload=7,1024,40 pieces=10,30");
}

TEST(Codec, RefusesWhatIsNotOfTheForm) {
  for (const char* text :
       {"", "dance s5", "listen", "listen x5", "listen s5 backlog=many", "listen s5 colour=red", "bind s5 address=inet:1.2.3",
        "send s7 data=3:6162", "recv s7 room=99999999999", "get_option s7 option=SO_NICE", "socket", "shutdown s7 how"}) {
    OwnedCall call;
    std::string why;
    EXPECT_FALSE(ParseCall(text, &call, &why)) << text;
    EXPECT_NE(why, "") << text;
  }
}

TEST(Codec, ResultsComeBackAsTheyWere) {
  struct Example {
    const char* call;
    const char* result;
  };
  for (const Example& example : {
           Example{"socket family=inet", "ok handle=s5"},
           Example{"listen s5 backlog=1", "EADDRINUSE native=98"},
           Example{"accept s5 peer=valid,valid,128", "ok handle=s6 peer=inet:127.0.0.1:50000,16"},
           Example{"accept s5 peer=valid,valid,128", "ok handle=s6 peer=undecoded,2"},
           Example{"accept s5 extended=1 accept_on=s9 first_data_length=4 output=4 local=valid,valid,32",
                   "ok value=3 handle=s9 local=inet:127.0.0.1:80,16 data=3:616263"},
           Example{"connect s6 address=conndata:[0:0:0:0:0:0:0:1]:7 callee_room=16", "ok callee_data=3:616263"},
           Example{"connect s6 address=conndata:[0:0:0:0:0:0:0:1]:7 callee_room=16", "ok callee_data=0:"},
           Example{"connect s6 address=conndata:[0:0:0:0:0:0:0:1]:7 callee_room=16", "EAGAIN native=10035"},
           Example{"send s7 data=3:616263", "ok value=3"},
           Example{"recv s7 room=8", "ok value=3 data=3:616263"},
           Example{"recv s7 room=2,8", "ok value=3 data=2:6162 data=1:63"},
           Example{"recv s7 form=3 handle_room=1 room=8", "ok value=1 flags=ctrunc passes=s11 data=1:00"},
           Example{"get_option s7 option=SO_ERROR", "ok error=ECONNREFUSED reported=4"},
           Example{"watch_wait w3 timeout_ns=0 room=4", "ok value=1 event=7,in|hup,ok"},
           Example{"watch_wait w3 timeout_ns=0 room=4 step=2 socket=s7",
                   "ok value=2 event=7,fd_write,ok event=7,fd_connect,ECONNREFUSED strays=fd_read"},
       }) {
    OwnedCall call;
    std::string why;
    ASSERT_TRUE(ParseCall(example.call, &call, &why)) << why;
    ASSERT_TRUE(ParseResult(example.result, &call, &why)) << example.result << ": " << why;
    EXPECT_EQ(ResultText(call.call, call.result), example.result);
  }
}

// Whoever answers may be wrong, or lie: nothing is written where there is no room, and nothing is believed that contradicts
// itself.
TEST(Codec, AnswersThatCannotBeAreRefused) {
  struct Example {
    const char* call;
    const char* result;
  };
  for (const Example& example : {
           Example{"recv s7 room=2", "ok value=3 data=3:616263"},
           Example{"recv s7 room=8", "ok value=3 data=2:6162"},
           Example{"recv s7 room=8", "ok value=3"},
           Example{"recv s7 room=8", "ok data=1:61"},
           Example{"recv s7 room=8", "ok value=1 data=2:61"},
           Example{"recv s7 room=8", "ok value=1 data=1:bad"},
           Example{"get_option s7 option=SO_TYPE", "ok error=ECONNREFUSED"},
           Example{"get_option s7 option=SO_ERROR", "ok error=ENOTHING"},
           Example{"watch_wait w3 room=1 pointer=bad", "ok value=1 event=7,in,ok"},
           Example{"watch_wait w3 room=1", "ok value=2 event=7,in,ok event=8,in,ok"},
           Example{"connect s6 address=inet:1.2.3.4:5", "ok callee_data=1:61"},
           Example{"connect s6 address=inet:1.2.3.4:5 callee_room=2:bad", "ok callee_data=1:61"},
       }) {
    OwnedCall call;
    std::string why;
    ASSERT_TRUE(ParseCall(example.call, &call, &why)) << why;
    EXPECT_FALSE(ParseResult(example.result, &call, &why)) << example.call << " -> " << example.result;
    EXPECT_NE(why, "");
  }
}

TEST(Codec, DataMayComeInOtherPiecesThanItsBuffers) {
  OwnedCall call;
  std::string why;
  ASSERT_TRUE(ParseCall("recv s7 room=2,8", &call, &why)) << why;
  ASSERT_TRUE(ParseResult("ok value=4 data=1:61 data=3:626364", &call, &why)) << why;
  EXPECT_EQ(ResultText(call.call, call.result), "ok value=4 data=2:6162 data=2:6364");
}

TEST(Codec, AddressesComeBackAsTheyWere) {
  for (const char* text : {"inet:0.0.0.0:0", "inet:255.255.255.255:65535", "inet6:[fe80:0:0:0:0:0:0:1%3]:80",
                           "conndata:[0:0:0:0:0:0:0:1]:80", "unix:", "unix:/a/b", "unix:\\x00name\\x20x", "unspec", "family:5"}) {
    Address address;
    ASSERT_TRUE(Address::Parse(text, &address)) << text;
    EXPECT_EQ(address.ToString(), text);
  }
  Address address;
  for (const char* text : {"conndata:[fe80:0:0:0:0:0:0:1%3]:80", "inet:1.2.3.4", "inet:256.1.1.1:1", "inet6:[1:2]:3",
                           "inet:1.2.3.4:99999", "nothing"}) {
    EXPECT_FALSE(Address::Parse(text, &address)) << text;
  }
}

TEST(Names, EveryErrorHasItsNameBack) {
  for (int32_t error = SP_OK; error < SP_ERROR_COUNT; ++error) {
    const auto name = ErrorName(error);
    EXPECT_EQ(ErrorByName(name), error) << name;
  }
  EXPECT_EQ(ErrorByName("EWOULDBLOCK"), SP_EAGAIN);
}

}  // namespace
}  // namespace sockproof
