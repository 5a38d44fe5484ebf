// What differs between the documents that this provider can answer to, as data and a few rules. Nothing else asks which profile
// it is.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "reference/ports.h"
#include "reference/tcp/tcp.h"
#include "sockproof/provider.h"

namespace sockproof::reference {

// SO_SNDBUF and SO_RCVBUF: what a value that is set becomes.
struct BufferRule {
  int64_t most = 212'992;
  int64_t factor = 1;
  int64_t least_send = 1, least_receive = 1;
};

// What listen's argument means.
struct BacklogRule {
  int64_t least = 1;  // as many wait at least
  int64_t extra = 0;  // and so many more than was asked for
  bool negative_is_most = true;
  std::size_t Capacity(int32_t asked, int64_t most) const;
};

struct Profile {
  std::string name;
  TcpPolicy tcp;
  BufferRule buffers;
  BacklogRule backlog;
  int64_t backlog_most = 4096;
  ConflictRule conflict = SharingConflict;
  std::set<int32_t> options;            // that it knows
  std::map<int32_t, int64_t> initial;   // values at the start, where they are not everybody's
  std::set<int32_t> inherited;          // options that an accepted socket has from its listener
  std::set<int32_t> inherited_locally;  // the same of AF_UNIX
  bool inherits_nonblocking = false;
  std::set<int32_t> capabilities;

  // ---- Which error
  int32_t bad_handle = SP_EBADF;            // of a handle that is not open
  int32_t path_handle = SP_EBADF;           // of one that only names a file
  int32_t closed_while_waiting = SP_EBADF;  // of a call whose handle is closed meanwhile, if it ends
  int32_t no_protocol_number = SP_EINVAL;   // socket with a protocol number that no protocol can have
  int32_t connecting = SP_EINPROGRESS;      // a connect that does not wait
  int32_t send_unconnected = SP_EPIPE;
  int32_t listen_unbound_local = SP_EINVAL;  // the same of AF_UNIX
  int32_t local_full = SP_EAGAIN;            // a connect that does not wait, to a listener whose queue is full
  int32_t shutdown_connecting = SP_OK;       // shutdown while a connect is under way; SP_OK: it is given up
  int32_t name_unbound = SP_OK;              // getsockname of a socket without a name
  int32_t accept_reset = SP_OK;              // of a connection that was reset in the queue; SP_OK: it is returned
  int32_t wrong_family_bind = SP_EAFNOSUPPORT;
  int32_t local_wrong_family = SP_EINVAL;      // connect of an AF_UNIX socket to another family
  int32_t local_wrong_level = SP_EOPNOTSUPP;   // an option of AF_UNIX that is none of the socket's
  int32_t listener_shutdown = SP_OK;           // shutdown of a listener; SP_OK: it stops listening
  int32_t datagram_refused = SP_ECONNREFUSED;  // what a connected datagram socket hears when nobody is there
  int32_t select_not_socket = SP_OK;           // select on what is open and no socket
  uint32_t refused_poll_flags = 0;             // SP_EINVAL
  int32_t fast_path = SP_NOT_SUPPORTED;        // SIO_LOOPBACK_FAST_PATH
  int32_t select_nothing = SP_OK;              // select without a socket
  int32_t local_unconnected = SP_EINVAL;       // a receive on an AF_UNIX stream that is not connected
  int32_t local_shutdown_unconnected = SP_OK;
  int32_t send_after_shutdown = SP_EPIPE;
  int32_t recv_after_shutdown = SP_OK;  // SP_OK: the end of the stream
  int32_t receive_timeout = SP_EAGAIN, send_timeout = SP_EAGAIN;
  int32_t listen_connected = SP_EINVAL;  // listen on a connected socket
  int32_t listen_unbound = SP_OK;        // SP_OK: it is bound then
  int32_t listen_wrong_type = SP_EOPNOTSUPP;
  int32_t connect_listening = SP_EISCONN;
  int32_t connect_wrong_family = SP_EAFNOSUPPORT;
  int32_t connect_aborted = SP_ECONNABORTED;
  int32_t datagram_too_long = SP_OK;           // of a receive that cuts one off: SP_OK, it is flagged
  int32_t datagram_nowhere = SP_EDESTADDRREQ;  // a send without a destination
  int32_t receive_unbound = SP_OK;             // a receive of a datagram socket without a name
  bool datagram_shutdown_unconnected = false;  // may be shut down without a peer
  int32_t port_zero = SP_OK;                   // connect to port 0: SP_OK, it is refused like any other

  // ---- Habits
  bool address_lengths_are_faults = false;   // too short an address: SP_EFAULT, not SP_EINVAL
  bool short_is_fault = false;               // too short a buffer: SP_EFAULT, not cut off
  bool close_ends_calls = false;             // a close ends the calls that wait on that handle
  bool pipe_signals = true;                  // a send without a peer raises SIGPIPE
  bool binds_unspecified = true;             // the wildcard address may come without a family
  bool connect_dissolves = true;             // connect to an unspecified address undoes a connection
  bool connect_after_failure = true;         // a socket whose connect failed may try again
  bool second_connect_waits = true;          // a blocking connect while one is under way waits for it; else SP_EALREADY
  bool hangup_excludes_writable = false;     // poll
  bool error_is_exception = false;           // select shows a pending error in its third set
  bool failed_connect_is_exception = false;  // select shows a connect that failed in its third set alone
  bool local_connect_waits = true;           // at a full queue
  bool local_ignores_destination = false;    // a send on a connected stream that names one
  bool linger_timeout_aborts = false;        // what is not sent when the time is over is thrown away
  bool zeros_dissolve = false;               // connect to the address of zeros takes a datagram socket's peer away
  bool new_peer_discards = false;            // what waits for a datagram socket when it is given another peer
  bool receive_limit_on_accept = true;       // SO_RCVTIMEO ends accept
  bool accept_needs_room_first = true;       // a full table of handles fails accept before it waits
  bool reset_stays = false;                  // after a reset every send and receive tells of it
  bool drops_excess = false;                 // a smaller backlog throws out those beyond it
  bool backlog_is_fixed = false;             // listen again changes nothing
  std::size_t record_margin = 0;             // bytes of an AF_UNIX record that the buffer has beside its data
  bool null_length_is_no_address = false;    // accept with a place for an address and no length
  bool second_connect_tells = true;          // the connect that comes after a non-blocking one succeeded says so: 0, not EISCONN
  bool accept_takes_modes = true;            // accept4, SOCK_NONBLOCK
  bool conditional = false;                  // condition functions
  bool linger_blocks_nonblocking = true;     // close waits on a non-blocking socket too
  bool bind_lasts = false;                   // a port that bind chose stays the socket's, whatever becomes of its connect
  uint32_t lowest_version = 0;               // of the session; major << 8 | minor
};

// Null if there is none of that name.
const Profile* FindProfile(std::string_view name);

}  // namespace sockproof::reference
