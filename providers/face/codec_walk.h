// What calls and results consist of, for both walkers. See codec.h.
#pragma once

#include <cstdint>

#include "face/names.h"
#include "sockproof/provider.h"

namespace sockproof::codec {

template <typename Walker>
void WalkModes(Walker& walk, const char* key, uint32_t& modes) {
  walk.Bits(key, modes, ModeNames, ModesByName);
}

template <typename Walker>
void WalkSocket(Walker& walk, sp_socket_args& args) {
  walk.Name("family", args.family, FamilyName, FamilyByName);
  walk.Integer("type", args.type, static_cast<int32_t>(SP_STREAM));
  walk.Integer("protocol", args.protocol);
  WalkModes(walk, "modes", args.modes);
}

template <typename Walker>
void WalkTransfer(Walker& walk, sp_transfer_args& args) {
  walk.Integer("form", args.form);
  walk.Bits("flags", args.flags, MessageFlagNames, MessageFlagsByName);
}

// The arguments that go in.
template <typename Walker>
void WalkCall(Walker& walk, sp_call& call) {
  auto& u = call.u;
  switch (call.op) {
    case SP_OP_SOCKET:
      WalkSocket(walk, u.socket);
      break;
    case SP_OP_SOCKETPAIR:
      WalkSocket(walk, u.socketpair.of);
      break;
    case SP_OP_BIND:
      walk.AddressIn("address", u.bind.address);
      break;
    case SP_OP_LISTEN:
      walk.Integer("backlog", u.listen.backlog);
      break;
    case SP_OP_CONNECT:
      walk.AddressIn("address", u.connect.address);
      walk.UserData("caller_data", u.connect.caller_data);
      walk.UserRoom("callee_room", u.connect.callee_data);
      walk.Qos("qos", u.connect.has_qos, u.connect.qos);
      walk.Integer("group_qos", u.connect.has_group_qos);
      walk.Integer("extended", u.connect.extended);
      walk.Buffer("first_data", u.connect.first_data);
      break;
    case SP_OP_ACCEPT:
      walk.Integer("form", u.accept.form);
      WalkModes(walk, "modes", u.accept.modes);
      walk.AddressRoom("peer", u.accept.peer);
      walk.Condition(u.accept);
      walk.Pointer("condition_pointer", u.accept.condition_kind);
      walk.Integer("callback_data", u.accept.callback_data);
      walk.Integer("extended", u.accept.extended);
      if (u.accept.extended != SP_PLAIN) {
        walk.Handle("accept_on", u.accept.accept_on);
        walk.Integer("first_data_length", u.accept.first_data_length);
        walk.BufferRoom("output", u.accept.output);
        walk.AddressRoom("local", u.accept.local);
      }
      break;
    case SP_OP_DISCONNECT:
      walk.Integer("reuse", u.disconnect.reuse);
      walk.Integer("reserved", u.disconnect.reserved);
      walk.Integer("extra_flags", u.disconnect.extra_flags);
      walk.Integer("extended", u.disconnect.extended);
      break;
    case SP_OP_SEND:
      WalkTransfer(walk, u.send);
      if (u.send.to.kind != SP_POINTER_NULL || Walker::kReading) walk.AddressIn("to", u.send.to);
      walk.Handles(u.send);
      walk.Data(u.send);
      break;
    case SP_OP_RECV:
      WalkTransfer(walk, u.recv);
      walk.AddressRoom("from", u.recv.from);
      walk.Integer("handle_room", u.recv.handle_count);
      walk.Room(u.recv);
      break;
    case SP_OP_SHUTDOWN:
      walk.Always("how", u.shutdown.how, -1);
      break;
    case SP_OP_GET_OPTION:
      walk.Option(u.get_option);
      walk.Integer("type", u.get_option.value_type);
      walk.Pointer("value", u.get_option.kind);
      walk.Integer("length", u.get_option.length, static_cast<int32_t>(SP_NATURAL_LENGTH));
      walk.Pointer("length_pointer", u.get_option.length_kind);
      break;
    case SP_OP_SET_OPTION:
      walk.Option(u.set_option);
      walk.OptionValue(u.set_option);
      walk.Pointer("value", u.set_option.kind);
      walk.Integer("length", u.set_option.length, static_cast<int32_t>(SP_NATURAL_LENGTH));
      break;
    case SP_OP_IOCTL:
      walk.Integer("request", u.ioctl.request, -1);
      walk.Pointer("pointer", u.ioctl.kind);
      walk.Integer("argument", u.ioctl.argument);
      break;
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      walk.AddressRoom("name", u.local_name.name);
      break;
    case SP_OP_SET_MODE:
      WalkModes(walk, "set", u.set_mode.set);
      WalkModes(walk, "clear", u.set_mode.clear);
      break;
    case SP_OP_DUPLICATE:
      walk.Integer("onto", u.duplicate.onto);
      WalkModes(walk, "modes", u.duplicate.modes);
      if (u.duplicate.onto != 0 || Walker::kReading) walk.Handle("target", u.duplicate.target);
      break;
    case SP_OP_WATCH_CREATE:
      walk.Name("mechanism", u.watch_create.mechanism, MechanismName, MechanismByName);
      WalkModes(walk, "modes", u.watch_create.modes);
      break;
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
      walk.Handle("watcher", u.watch_set.watcher);
      walk.Bits("events", u.watch_set.events, EventNames, EventsByName);
      walk.Integer("flags", u.watch_set.flags);
      walk.Integer("cookie", u.watch_set.cookie);
      break;
    case SP_OP_WATCH_WAIT:
      walk.Integer("timeout_ns", u.watch_wait.timeout_ns, static_cast<int64_t>(-1));
      walk.Integer("timeout_kind", u.watch_wait.timeout_kind);
      walk.Pointer("pointer", u.watch_wait.kind);
      walk.EventRoom(u.watch_wait);
      walk.Integer("step", u.watch_wait.step);
      if (u.watch_wait.step == SP_REPORT_ONLY) {
        walk.Handle("socket", u.watch_wait.socket);
        walk.Integer("keep_event", u.watch_wait.keep_event);
      }
      break;
    default:
      break;
  }
}

// What came out.
template <typename Walker>
void WalkResult(Walker& walk, sp_call& call, sp_result& result) {
  auto& u = call.u;
  walk.Integer("native", result.native);
  const bool failed = result.error != SP_OK;
  walk.Integer("value", result.value, static_cast<int64_t>(failed ? -1 : 0));
  switch (call.op) {
    case SP_OP_SOCKET:
    case SP_OP_DUPLICATE:
    case SP_OP_WATCH_CREATE:
      if (!failed) walk.Handle("handle", result.handle);
      break;
    case SP_OP_SOCKETPAIR:
      if (!failed) {
        walk.Handle("handle", result.handle);
        walk.Handle("second", u.socketpair.second);
      }
      break;
    case SP_OP_CONNECT:
      if (!failed) walk.UserDataGot("callee_data", u.connect.callee_data);
      break;
    case SP_OP_ACCEPT:
      if (!failed) walk.Handle("handle", result.handle);
      walk.AddressGot("peer", u.accept.peer);
      if (u.accept.extended != SP_PLAIN) {
        walk.AddressGot("local", u.accept.local);
        if (!failed) walk.BufferGot("data", u.accept.output, result.value);
      }
      break;
    case SP_OP_RECV:
      walk.Bits("flags", u.recv.flags_out, MessageFlagNames, MessageFlagsByName);
      walk.AddressGot("from", u.recv.from);
      if (!failed) {
        walk.Handles(u.recv);
        walk.Received(u.recv, result.value);
      }
      break;
    case SP_OP_GET_OPTION:
      if (!failed) walk.OptionValue(u.get_option);
      walk.Integer("reported", u.get_option.reported, -1);
      break;
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME:
      walk.AddressGot("name", u.local_name.name);
      break;
    case SP_OP_WATCH_WAIT:
      if (!failed) walk.Events(u.watch_wait);
      walk.Bits("strays", u.watch_wait.strays, EventNames, EventsByName);
      break;
    default:
      break;
  }
}

}  // namespace sockproof::codec
