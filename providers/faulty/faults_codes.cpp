// Faults of tables of error codes: wherever one error is meant another one is told, by whichever call it comes out.
#include "faulty/moves.h"

namespace sockproof::faulty {
namespace {

constexpr const char* kErrno =
    "lwIP CHANGELOG 2014-03-11, bug #35928: BSD sockets functions must set errno for POSIX-compliance; err_to_errno() is a table";
constexpr const char* kNoReport = "no report found of this code: what one wrong entry in a table of error codes does";

template <int32_t kFrom, int32_t kTo>
void Call(Wrapped& provider, sp_call* call, sp_result* result) {
  provider.Pass(call, result);
  TellAs(result, kFrom, kTo);
  // The pending error, and those of Winsock's network events.
  if (IsOption(call, SP_OP_GET_OPTION, SP_SO_ERROR) && result->error == SP_OK && call->u.get_option.integer == kFrom) {
    call->u.get_option.integer = kTo;
  }
  if (call->op != SP_OP_WATCH_WAIT || call->u.watch_wait.events == nullptr || call->u.watch_wait.kind != SP_POINTER_VALID) return;
  for (int32_t i = 0; i < call->u.watch_wait.count; ++i) {
    int32_t& error = call->u.watch_wait.events[i].error;
    if (error == kFrom) error = kTo;
  }
}

template <int32_t kFrom, int32_t kTo>
int32_t Begin(Wrapped& provider, sp_call* call, sp_operation* operation) {
  const int32_t error = provider.table().begin(provider.self(), call, operation);
  return error == kFrom ? kTo : error;
}

template <int32_t kFrom, int32_t kTo>
int32_t Wait(Wrapped& provider, sp_operation operation, int64_t timeout_ns, sp_result* result) {
  const int32_t error = provider.table().wait(provider.self(), operation, timeout_ns, result);
  if (error == SP_OK) TellAs(result, kFrom, kTo);
  return error;
}

template <int32_t kFrom, int32_t kTo>
constexpr Fault Row(const char* name, const char* text, const char* requirements, const char* profiles, const char* model) {
  return {name, text, requirements, profiles, model, Call<kFrom, kTo>, Begin<kFrom, kTo>, Wait<kFrom, kTo>};
}

constexpr Fault kFaults[] = {
    Row<SP_EINVAL, SP_EOPNOTSUPP>(
        "code-einval-told-eopnotsupp", "wherever EINVAL is meant, EOPNOTSUPP is told",
        "accept.after_read_shutdown_peer_gone bind.connected bind.twice bind.wrong_length bind.name_unbound_refused "
        "closing.shutdown_how condition.invalid_answer condition.invalid_group condition.not_listening "
        "conditional.option_on_listener connect.bind_after connect.impossible_length connect.unix_cannot_dissolve "
        "events.blocking_refused events.invalid_event listen.bind listen.connect listen.connect_unix "
        "listen.dissolve_listener_unix notify.bad_time_out notify.bad_time_out_ppoll notify.epoll_unknown_mode "
        "notify.poll_too_many notify.select_nothing notify.wsapoll_refused_flags overlapped.connect_listening "
        "overlapped.connect_unbound overlapped.disconnect_flags overlapped.disconnect_reserved progress.accept_pending "
        "progress.bind_pending user_data.group_qos connect.unix_wrong_family listen.unbound listen.unbound_unix",
        "posix linux winsock", kErrno),
    Row<SP_ENOTSOCK, SP_EOPNOTSUPP>(
        "code-enotsock-told-eopnotsupp", "wherever ENOTSOCK is meant, EOPNOTSUPP is told",
        "accept.bad_descriptor accept.not_a_socket bind.bad_descriptor bind.not_a_socket bind.name_bad_descriptor "
        "bind.name_not_a_socket connect.bad_handle connect.not_socket events.report_not_a_socket events.select_not_a_socket "
        "listen.bad_descriptor listen.not_a_socket message.recv_not_open message.send_not_open notify.select_closed "
        "notify.select_not_socket options.get_not_open options.set_not_open options.local_name_not_open "
        "options.local_name_not_socket options.peer_name_not_open options.peer_name_not_socket shutdown.bad_descriptor",
        "posix linux winsock", kErrno),
    Row<SP_EBADF, SP_EFAULT>("code-ebadf-told-efault", "wherever EBADF is meant, EFAULT is told",
                             "accept.path_descriptor bind.name_bad_descriptor close.interrupted_frees connect.bad_handle "
                             "options.local_name_not_open options.peer_name_not_open",
                             "posix linux", kErrno),
    Row<SP_EFAULT, SP_EPERM>(
        "code-efault-told-eperm", "wherever EFAULT is meant, EPERM is told",
        "accept.short_address_refused bind.bad_pointer bind.bad_pointer_ip bind.name_negative_length bind.name_short "
        "condition.unusable_function conditional.option_bad_pointer conditional.option_short_value connect.invalid_pointer "
        "connect.null_address events.failed_report notify.poll_invalid_pointer notify.select_invalid_pointer options.get_short "
        "options.name_negative_length options.names_short user_data.callee_room_too_small user_data.caller_data_too_long",
        "linux winsock", kNoReport),
    Row<SP_EADDRINUSE, SP_EINVAL>(
        "code-eaddrinuse-told-einval", "wherever EADDRINUSE is meant, EINVAL is told",
        "bind.default_after_exclusive bind.default_after_reuse bind.exclusive_after_exclusive bind.exclusive_after_other "
        "bind.exclusive_child bind.mapped_reserves bind.port_range_full bind.port_range_full_listen bind.reuse_wildcard "
        "close.time_wait_reuse_later closing.address_with_child closing.path_stays closing.shutdown_keeps_address "
        "progress.address_reserved",
        "posix linux winsock",
        "demikernel/inetstack issue 170: one error was given for another where an address is in use; lwIP CHANGELOG 2014-03-11, "
        "bug "
        "#35928"),
    Row<SP_EADDRNOTAVAIL, SP_EHOSTUNREACH>(
        "code-eaddrnotavail-told-ehostunreach", "wherever EADDRNOTAVAIL is meant, EHOSTUNREACH is told",
        "connect.wildcard overlapped.connect_zero_address connect.duplicate_pair", "posix linux winsock",
        "staalmannen/APExp pull request 455: another error where EADDRNOTAVAIL is meant"),
    Row<SP_ECONNREFUSED, SP_ENETUNREACH>(
        "code-econnrefused-told-enetunreach", "wherever ECONNREFUSED is meant, ENETUNREACH is told",
        "backlog.local_listener_gone bind.v6only_refuses closing.abstract_refused closing.group_last closing.new_client "
        "conditional.deferred_rejected conditional.reject_error conditional.reject_refuses_connect conditional.reject_told "
        "connect.unix_not_socket connect.v6only_listener events.connect_refused_recorded listen.bound_only_refuses listen.paused "
        "listen.race_clients overlapped.connect_refused process.kill_of_listener_refuses refused.late refused.recv_reports "
        "refused.unix_listener_closed rejection.waiter_refused spi.pending_error backlog.blocking_connect_waits "
        "backlog.overflow_client refused.timeout_full_backlog",
        "posix linux winsock", kErrno),
    Row<SP_ECONNRESET, SP_EIO>(
        "code-econnreset-told-eio", "wherever ECONNRESET is meant, EIO is told",
        "accept.reset_before_accept accept.ready_then_gone accept.ready_then_gone_blocking backlog.abort_on_overflow "
        "backlog.shrink_resets close.half_open close.killed_unread close.linger_goes_on closing.group_queue closing.half_open "
        "closing.half_open_shutdown closing.many_queued closing.queued_send conditional.deferred_withdrawn "
        "deferred.closed_data_reset events.close_reset process.abortive_close_of_last_copy process.kill_abortive "
        "process.kill_of_listener_ends process.kill_of_listener_resets process.kill_with_unread_data "
        "process.unix_kill_with_unread_data rejection.close_unread rejection.close_unread_local rejection.farewell_unread "
        "rejection.linger_zero rejection.listener_closed_data rejection.overflow_abort rejection.reset_told_apart "
        "rejection.reset_wakes_reader shutdown.rd_later_resets shutdown.rd_queued_resets shutdown.rd_unread_close "
        "close.abort_after_wr close.linger2_abort close.linger2_effect_peer rejection.reset_then_send",
        "posix linux winsock", kErrno),
    Row<SP_EISCONN, SP_EALREADY>("code-eisconn-told-ealready", "wherever EISCONN is meant, EALREADY is told",
                                 "overlapped.connect_connected progress.connect_afterwards", "posix winsock",
                                 "axboe/liburing issue 980: connect() doesn't return EISCONN"),
    Row<SP_EALREADY, SP_EISCONN>("code-ealready-told-eisconn", "wherever EALREADY is meant, EISCONN is told",
                                 "overlapped.connect_in_progress progress.second_blocking", "posix winsock", kNoReport),
    Row<SP_ENOTCONN, SP_EPIPE>(
        "code-enotconn-told-epipe", "wherever ENOTCONN is meant, EPIPE is told",
        "accept.reset_peer_name connect.datagram_zero_dissolves connect.datagram_zero_transfer overlapped.disconnect_unconnected "
        "progress.shutdown_pending refused.shutdown rejection.reset_no_peer shutdown.unconnected_udp shutdown.unconnected_unix",
        "posix linux winsock", kErrno),
    Row<SP_EPIPE, SP_ENOTCONN>(
        "code-epipe-told-enotconn", "wherever EPIPE is meant, ENOTCONN is told",
        "close.send_unix closing.queued_send rejection.close_then_send rejection.reset_then_send "
        "rejection.shutdown_both_then_send rejection.shutdown_read_local shutdown.rd_peer_send_unix shutdown.duplicate "
        "shutdown.wr_send_nothing shutdown.wr_send_udp close.abort_after_wr close.linger2_effect_peer close.linger2_abort",
        "posix linux", kErrno),
    Row<SP_ESHUTDOWN, SP_ENOTCONN>(
        "code-eshutdown-told-enotconn", "wherever ESHUTDOWN is meant, ENOTCONN is told",
        "shutdown.duplicate shutdown.wr_send_udp shutdown.rd_buffered shutdown.rd_later_data rejection.reset_then_send",
        "winsock", kNoReport),
    Row<SP_EAGAIN, SP_ENOBUFS>(
        "code-eagain-told-enobufs", "wherever EAGAIN is meant, ENOBUFS is told",
        "accept.descriptor_limit_empty backlog.local_full_nonblocking close.linger_nonblocking "
        "close.waiting_receive_times_out condition.error_without_request connect.datagram_reconnect_discards "
        "events.select_makes_nonblocking inherit.nonblocking_child process.abortive_close_of_one_copy "
        "process.connection_outlives_one_copy shutdown.wr_no_early_end",
        "posix linux winsock", "lwIP CHANGELOG 2007-04-05: the error of alloc_socket was first ENOBUFS, then ENFILE"),
    Row<SP_EINTR, SP_EAGAIN>("code-eintr-told-eagain", "wherever EINTR is meant, EAGAIN is told",
                             "message.recv_timeout_interrupted notify.signal_restart "
                             "progress.not_restarted_with_timeout",
                             "linux", "nanomsg issue 39: a blocking recv does not return with EINTR"),
    Row<SP_ETIMEDOUT, SP_EHOSTUNREACH>("code-etimedout-told-ehostunreach", "wherever ETIMEDOUT is meant, EHOSTUNREACH is told",
                                       "close.keepalive_dead_broken close.timeout_error events.connect_timeout_recorded "
                                       "refused.timeout_full_backlog",
                                       "posix linux winsock",
                                       "FreeRTOS-Plus-TCP pull request 1355: what a connect told whose SYN nobody answered"),
    Row<SP_EACCES, SP_EINVAL>(
        "code-eacces-told-einval", "wherever EACCES is meant, EINVAL is told",
        "bind.reuse_after_exclusive bind.reuse_after_default connect.datagram_broadcast bind.exclusive_wildcard "
        "connect.unix_no_write_permission connect.unix_no_search_permission",
        "linux winsock", kNoReport),
    Row<SP_EMFILE, SP_EINVAL>("code-emfile-told-einval", "wherever EMFILE is meant, EINVAL is told",
                              "accept.descriptor_limit_empty listen.no_descriptors", "posix linux", kNoReport),
    Row<SP_ENFILE, SP_EMFILE>("code-enfile-told-emfile", "wherever ENFILE is meant, EMFILE is told", "accept.system_limit",
                              "posix linux",
                              "lwIP CHANGELOG 2007-04-05: the error of alloc_socket was first ENOBUFS, then ENFILE"),
    Row<SP_ENOBUFS, SP_EMFILE>("code-enobufs-told-emfile", "wherever ENOBUFS is meant, EMFILE is told",
                               "accept.buffer_limit listen.buffer_limit", "winsock",
                               "lwIP CHANGELOG 2007-04-05: the error of alloc_socket was first ENOBUFS, then ENFILE"),
    Row<SP_ENOPROTOOPT, SP_EPERM>("code-enoprotoopt-told-eperm", "wherever ENOPROTOOPT is meant, EPERM is told",
                                  "options.unknown_level_get options.unknown_level_set options.unknown_get options.unknown_set",
                                  "posix linux winsock", kErrno),
    Row<SP_ENODEV, SP_EADDRNOTAVAIL>("code-enodev-told-eaddrnotavail", "wherever ENODEV is meant, EADDRNOTAVAIL is told",
                                     "bind.link_local_scope", "linux", kNoReport),
    Row<SP_ENOTDIR, SP_ENOENT>("code-enotdir-told-enoent", "wherever ENOTDIR is meant, ENOENT is told",
                               "bind.not_a_directory connect.unix_not_directory", "posix linux",
                               "asterinas pull request 1168 fixes incorrect error codes of UNIX sockets"),
    Row<SP_ELOOP, SP_ENOENT>("code-eloop-told-enoent", "wherever ELOOP is meant, ENOENT is told", "connect.unix_loop",
                             "posix linux", "asterinas pull request 1168 fixes incorrect error codes of UNIX sockets"),
    Row<SP_EAFNOSUPPORT, SP_EPERM>("code-eafnosupport-told-eperm", "wherever EAFNOSUPPORT is meant, EPERM is told",
                                   "connect.unix_wrong_family", "winsock",
                                   "zephyr issue 94210: the family was looked at by an assertion alone"),
    Row<SP_EPROTONOSUPPORT, SP_EFAULT>("code-eprotonosupport-told-efault", "wherever EPROTONOSUPPORT is meant, EFAULT is told",
                                       "user_data.caller_data_unsupported", "winsock", kNoReport),
    Row<SP_EOPNOTSUPP, SP_ENOPROTOOPT>("code-eopnotsupp-told-enoprotoopt", "wherever EOPNOTSUPP is meant, ENOPROTOOPT is told",
                                       "user_data.qos_unsatisfied options.fast_path", "winsock", kNoReport),
    Row<SP_TRY_AGAIN, SP_EAGAIN>("code-try-again-told-ewouldblock",
                                 "where 'try again' is meant, it is told that the call would block",
                                 "conditional.defer_error conditional.defer_again", "winsock",
                                 "no report found: WSATRY_AGAIN and WSAEWOULDBLOCK are one error, EAGAIN, elsewhere"),
    Row<SP_NOTINITIALISED, SP_EINVAL>("code-notinitialised-told-einval", "without a session, calls say EINVAL",
                                      "session.no_socket_without_session session.old_socket", "winsock", kNoReport),
    Row<SP_OPERATION_ABORTED, SP_EINTR>(
        "code-aborted-told-eintr", "an operation that was cancelled ends with EINTR",
        "overlapped.accept_cancelled overlapped.connect_cancelled", "winsock",
        "no report found: CancelIoEx has ERROR_OPERATION_ABORTED, where WSACancelBlockingCall has "
        "WSAEINTR"),
};

}  // namespace

const FaultList kCodeFaults = {kFaults, sizeof kFaults / sizeof kFaults[0]};

}  // namespace sockproof::faulty
