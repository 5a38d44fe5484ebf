/* The C interface of sockproof: how a socket implementation is put under test.
 *
 * A provider is a table of functions (struct sp_provider). Put it in a shared library that exports
 *
 *     const struct sp_provider* sockproof_provider(void);
 *
 * and run it with `./sockproof run lib:./libmystack.so`. This header is all that a provider includes.
 *
 * The contract in one page
 *  - One struct, sp_call, says everything about one call: which operation, on which handle, with which arguments.
 *    `call` carries it out and fills in its `out` members and an sp_result. That is the whole data path; everything
 *    else in the table is optional.
 *  - What you do not have, say so: set result->error to SP_NOT_SUPPORTED, leave the function or group NULL. The scenarios
 *    that need it are then reported as 'not supported', by name. Never crash, never pretend.
 *  - Arguments can be wrong on purpose: a handle, address or buffer carries a kind (see sp_handle_kind, sp_pointer_kind)
 *    and lengths are passed on as they are given. Pass the wrong thing on to your implementation if it has a place for it
 *    (a NULL pointer, a length of 3); answer SP_NOT_SUPPORTED if your interface cannot even express it.
 *  - Errors are neutral names (SP_ERRORS below). Your own code goes into result->native and is shown to people only.
 *  - Times are nanoseconds in int64_t. Negative means 'no limit' where a limit is meant.
 *  - Memory: everything in an sp_call belongs to the caller and stays valid until the call returns (or, for a begun call,
 *    until `wait` has reported it done). Strings that a provider returns stay valid until its `close`.
 *  - Threads: `call` may be entered from many threads at the same time, on the same handle too. That is the point.
 *  - Processes: the suite runs one scenario a process. `open` is called once in each.
 *
 * Versioning: every struct that may grow starts with `size`, set by whoever fills the struct in. A member that lies beyond
 * `size` was not there when the other side was built: treat it as zero. SP_API_VERSION changes only when that is not enough.
 *
 * Source documents: the operations are those of POSIX.1 XSH 2.10 (sockets) and of the Windows Sockets 2 API and SPI.
 */
#ifndef SOCKPROOF_PROVIDER_H
#define SOCKPROOF_PROVIDER_H
/* clang-format off */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SP_API_VERSION 1u

/* ---- Errors ---------------------------------------------------------------------------------------------------------
 * One name for what errno and the WSA codes both call an error (WSAECONNREFUSED is SP_ECONNREFUSED, WSAEWOULDBLOCK is
 * SP_EAGAIN). Those that only one side knows stand at the end. The catalogue uses these names without the prefix. */
#define SP_ERRORS(X)                                                                                                   \
  X(EPERM) X(ENOENT) X(EINTR) X(EIO) X(EBADF) X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(EBUSY) X(EEXIST) X(ENODEV)      \
  X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS) X(EPIPE) X(EDOM)   \
  X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(ENOSYS) X(ELOOP) X(ENOMSG) X(ENODATA) X(EPROTO) X(EBADMSG) X(EOVERFLOW)        \
  X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT)            \
  X(EOPNOTSUPP) X(EPFNOSUPPORT) X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH) X(ENETRESET)  \
  X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ESHUTDOWN) X(ETOOMANYREFS) X(ETIMEDOUT)             \
  X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS) X(ECANCELED) X(ESTALE) X(EUSERS)              \
  /* Windows Sockets and Win32 only */                                                                                 \
  X(NOTINITIALISED) X(VERNOTSUPPORTED) X(SYSNOTREADY) X(EDISCON) X(ENOMORE) X(EINVALIDPROCTABLE) X(EINVALIDPROVIDER)    \
  X(EPROVIDERFAILEDINIT) X(TRY_AGAIN) X(NO_DATA) X(EREFUSED) X(IO_PENDING) X(IO_INCOMPLETE) X(OPERATION_ABORTED)        \
  X(INVALID_PARAMETER) X(INVALID_HANDLE) X(NOT_ENOUGH_MEMORY) X(NETNAME_DELETED) X(EPROCLIM) X(QOS_NOT_AVAILABLE)

enum sp_error {
  SP_OK = 0,
#define SP_ERROR_MEMBER(name) SP_##name,
  SP_ERRORS(SP_ERROR_MEMBER)
#undef SP_ERROR_MEMBER
      SP_ERROR_COUNT,
  SP_UNKNOWN_ERROR = 1000, /* the implementation failed with a code that has no name here; see sp_result.native */
  SP_NOT_SUPPORTED = 1001  /* this provider cannot do or express that at all: a missing capability, not a failure */
};

/* ---- Handles --------------------------------------------------------------------------------------------------------*/
enum sp_handle_kind {
  SP_HANDLE_SOCKET = 0,   /* `value` came from this provider */
  SP_HANDLE_WATCHER = 1,  /* `value` came from SP_OP_WATCH_CREATE */
  SP_HANDLE_INVALID = 2,  /* a value that no open handle has: the provider picks one (-1, INVALID_SOCKET); poll ignores it */
  SP_HANDLE_NOT_SOCKET = 3, /* something open that is no socket: the provider makes it up (a file) */
  SP_HANDLE_PATH_ONLY = 4   /* a handle that only names a file (Linux: O_PATH) */
};
struct sp_handle {
  int32_t kind; /* enum sp_handle_kind */
  int32_t reserved;
  int64_t value; /* the implementation's own handle: a descriptor, a SOCKET, an index */
};

/* ---- Addresses ------------------------------------------------------------------------------------------------------*/
enum sp_family { SP_UNSPEC = 0, SP_INET = 1, SP_INET6 = 2, SP_UNIX = 3, SP_CONNDATA = 4, SP_OTHER_FAMILY = 5 };
/* SP_CONNDATA: a family whose connection protocol carries user data with the request and with its answer. Its addresses are a
 * port and 16 bytes: all zero but the last one, which is 1, is loopback; all zero is any of this host's. SP_OTHER_FAMILY: any
 * family that is none of these. */

enum { SP_PATH_MAX = 108 };
struct sp_address {
  int32_t family;       /* enum sp_family */
  uint32_t scope;       /* IPv6 scope id */
  uint32_t flow;        /* IPv6 flow information */
  uint16_t port;        /* host byte order */
  uint16_t path_length; /* SP_UNIX: bytes of `path` in use; 0 is 'unnamed'; a leading NUL is Linux's abstract name */
  uint8_t bytes[16];    /* network byte order; SP_INET uses the first four */
  char path[SP_PATH_MAX];
};

enum sp_pointer_kind {
  SP_POINTER_VALID = 0,
  SP_POINTER_NULL = 1,
  SP_POINTER_INVALID = 2 /* an address that may not be read or written: the provider picks one */
};

/* An address that goes in. */
struct sp_address_in {
  int32_t kind;   /* enum sp_pointer_kind */
  int32_t length; /* SP_NATURAL_LENGTH: the right one of your own form; or the length to pass instead (negative ones too) */
  struct sp_address address;
};
#define SP_NATURAL_LENGTH INT32_MIN

/* An address that comes out. The provider passes `raw` itself, with `length`, to the implementation where that takes an
 * address buffer, so that the caller can see truncation and overruns; where it does not, it lays the address out in the
 * implementation's own form. Then it decodes as much as was written into `address`. */
struct sp_address_out {
  int32_t kind;        /* in: enum sp_pointer_kind of the buffer */
  int32_t length_kind; /* in: enum sp_pointer_kind of the length argument */
  int32_t length;      /* in: SP_NATURAL_LENGTH (then raw_size) or the length to pass */
  int32_t raw_size;    /* in: bytes at raw */
  uint8_t* raw;        /* in: the caller's buffer, may be NULL when kind is not VALID */
  int32_t reported;    /* out: the length as the call left it, a failed one too; -1 if there is none */
  int32_t decoded;     /* out: 1 if `address` could be decoded (the buffer was long enough) */
  struct sp_address address; /* out */
};

/* ---- Buffers --------------------------------------------------------------------------------------------------------*/
struct sp_buffer {
  void* data;
  uint64_t length; /* bytes to pass */
  int32_t kind;    /* enum sp_pointer_kind; NULL and INVALID ignore data */
  int32_t reserved;
};

/* ---- Operations -----------------------------------------------------------------------------------------------------
 * Each has a struct of arguments in sp_call.u (same name). `value` and `handle` below are members of sp_result. */
#define SP_OPS(X)                                                                                                      \
  X(SOCKET, socket)             /* -> handle */                                                                        \
  X(SOCKETPAIR, socketpair)     /* -> handle and second */                                                             \
  X(BIND, bind)                                                                                                        \
  X(LISTEN, listen)                                                                                                    \
  X(CONNECT, connect)                                                                                                  \
  X(ACCEPT, accept)             /* -> handle */                                                                        \
  X(DISCONNECT, disconnect)     /* DisconnectEx */                                                                     \
  X(SEND, send)                 /* -> value: bytes taken */                                                            \
  X(RECV, recv)                 /* -> value: bytes delivered, 0 is end of stream */                                    \
  X(SHUTDOWN, shutdown)                                                                                                \
  X(CLOSE, close)                                                                                                      \
  X(GET_OPTION, get_option)                                                                                            \
  X(SET_OPTION, set_option)                                                                                            \
  X(IOCTL, ioctl)               /* -> value */                                                                         \
  X(LOCAL_NAME, local_name)     /* getsockname */                                                                      \
  X(PEER_NAME, peer_name)       /* getpeername */                                                                      \
  X(SET_MODE, set_mode)                                                                                                \
  X(GET_MODE, get_mode)         /* -> value: enum sp_mode bits */                                                      \
  X(DUPLICATE, duplicate)       /* -> handle */                                                                        \
  X(WATCH_CREATE, watch_create) /* -> handle of kind WATCHER */                                                        \
  X(WATCH_ADD, watch_set)                                                                                              \
  X(WATCH_MODIFY, watch_set)                                                                                           \
  X(WATCH_REMOVE, watch_set)                                                                                           \
  X(WATCH_WAIT, watch_wait)     /* -> value: events reported, 0 is a time-out */                                       \
  X(WATCH_CLOSE, watch_close)

enum sp_op {
#define SP_OP_MEMBER(name, member) SP_OP_##name,
  SP_OPS(SP_OP_MEMBER)
#undef SP_OP_MEMBER
      SP_OP_COUNT
};

enum sp_type { SP_STREAM = 1, SP_DATAGRAM = 2, SP_SEQPACKET = 3, SP_RAW = 4, SP_OTHER_TYPE = 5 };

/* Modes of a handle; for socket and accept they are asked for at creation (SOCK_NONBLOCK, SOCK_CLOEXEC). */
enum sp_mode { SP_NONBLOCKING = 1, SP_CLOSE_ON_EXEC = 2, SP_ASYNC = 4, SP_MODE_UNKNOWN_BIT = 0x40000000 };

struct sp_socket_args {
  int32_t family;   /* enum sp_family */
  int32_t type;     /* enum sp_type */
  int32_t protocol; /* 0 for the family's default, else the implementation's own number */
  uint32_t modes;   /* enum sp_mode */
};
struct sp_socketpair_args {
  struct sp_socket_args of;
  struct sp_handle second; /* out */
};
struct sp_bind_args {
  struct sp_address_in address;
};
struct sp_listen_args {
  int32_t backlog; /* passed on as it is: 0, negative and huge too; INT32_MAX asks for SOMAXCONN on Winsock */
  int32_t reserved;
};

/* Quality of service of a connection, as Winsock's FLOWSPEC pair says it (bytes a second, microseconds). UINT32_MAX: not
 * specified. UINT32_MAX - 1 as a rate is more than anybody can promise: the suite asks for that when it wants to be refused. */
struct sp_qos {
  uint32_t send_rate, send_peak, send_latency;
  uint32_t receive_rate, receive_peak, receive_latency;
};
/* User data that travels with connect and accept, a WSABUF: `length` is its len, `data` its buf. `capacity` is how much memory
 * there really is at `data`. */
struct sp_user_data {
  int32_t present; /* 0: pass NULL in place of the WSABUF */
  int32_t kind;    /* enum sp_pointer_kind of the data pointer */
  uint32_t capacity;
  uint32_t length;
  uint8_t* data;
};

struct sp_connect_args {
  struct sp_address_in address;
  struct sp_user_data caller_data; /* in: `length` bytes */
  /* In: `length` is the room that the caller says there is; out: how much came back, at `data`. When the attempt goes on after
   * the call has returned (non-blocking), `length` and `data` are written when it ends, before FD_CONNECT is recorded: the suite
   * keeps this whole sp_call, and the memory, until then or until the socket is closed; with present 0 it keeps nothing. */
  struct sp_user_data callee_data;
  int32_t has_qos, has_group_qos;  /* pass lpSQOS / lpGQOS */
  struct sp_qos qos;
  int32_t extended;           /* enum sp_extended: ConnectEx */
  int32_t reserved;
  struct sp_buffer first_data; /* extended only: sent with the connection; length 0 for none */
};
/* The overlapped forms of connect, accept and disconnect: AcceptEx, ConnectEx, DisconnectEx. SP_OVERLAPPED calls come through
 * `begin` alone, see there; SP_NO_OVERLAPPED ones through `call`. Operations are begun on sockets of any blocking mode. */
enum sp_extended {
  SP_PLAIN = 0,
  SP_OVERLAPPED = 1,
  SP_NO_OVERLAPPED = 2 /* with NULL as lpOverlapped: wrong for AcceptEx and ConnectEx, the blocking form of DisconnectEx */
};

/* What a condition function is asked (WSAAccept, WSPAccept), and what it answers. */
enum sp_condition { SP_CONDITION_ACCEPT = 0, SP_CONDITION_REJECT = 1, SP_CONDITION_DEFER = 2, SP_CONDITION_BAD = 77 };
/* Everything in it belongs to the provider and is valid until the function returns. The function may make other calls. */
struct sp_condition_request {
  uint32_t size;
  /* 1 if the implementation asked in the thread that called accept. A provider that only carries the question over to the suite
   * (a shim) asks in the thread that is in `call`, and says here what its implementation did. */
  int32_t same_thread;
  int32_t has_caller, has_callee; /* 0: the implementation passed NULL */
  struct sp_address caller, callee;
  int32_t caller_length, callee_length; /* WSABUF.len as the implementation gave it */
  struct sp_user_data caller_data;      /* present 0: the implementation passed NULL */
  /* Storage of the implementation. In: `length` is WSABUF.len as it gave it: the room, 0 if data cannot go back. `capacity` is what
   * may be written (`length`, unless the provider knows better). Out: `data` and `length`; 0 for no data. present 0: NULL. */
  struct sp_user_data callee_data;
  int32_t has_qos, has_group_qos; /* 0: NULL */
  struct sp_qos qos; /* in: what the caller asked for; out: what the function makes of it */
  uint64_t callback_data;
  int64_t group; /* out: what the function assigns to *g; 0 on the way in, which asks for no group */
};
typedef int32_t (*sp_condition_function)(void* context, struct sp_condition_request* request);

struct sp_accept_args {
  uint32_t modes;   /* for the new handle; a provider without accept4 answers SP_NOT_SUPPORTED unless 0 */
  int32_t form;     /* 0 the plain call, 1 the one that takes modes even if they are 0 (accept4) */
  struct sp_address_out peer; /* kind NULL: no address is asked for */
  sp_condition_function condition; /* NULL: none */
  void* condition_context;
  uint64_t callback_data;
  int32_t extended;           /* enum sp_extended: AcceptEx */
  int32_t first_data_length;  /* extended: dwReceiveDataLength: wait for data of at most this many bytes; 0: for none */
  struct sp_handle accept_on; /* extended: the socket that becomes the connection; it is result->handle in the end, too */
  /* Extended: the first data goes here (its count is result->value). kind NULL or INVALID: pass that as lpOutputBuffer. The buffer
   * that AcceptEx itself wants, with room for both addresses, is the provider's. */
  struct sp_buffer output;
  /* Extended: the addresses as GetAcceptExSockaddrs yields them once it is done: `local` and, for the remote one, `peer`. Their
   * `length` is dwLocalAddressLength and dwRemoteAddressLength, passed on as it is; SP_NATURAL_LENGTH: the right one (16 more
   * than the address). */
  struct sp_address_out local;
  int32_t condition_kind; /* enum sp_pointer_kind of the condition function: INVALID passes what cannot be called */
  int32_t reserved;
};
struct sp_disconnect_args {
  uint32_t reuse;    /* 1: TF_REUSE_SOCKET */
  uint32_t reserved; /* passed on as dwReserved */
  uint32_t extra_flags; /* further bits of dwFlags */
  int32_t extended;  /* enum sp_extended, never SP_PLAIN */
};

/* Message flags, in and out. A flag that your stack has no place for (urgent data, say) is SP_NOT_SUPPORTED; an error is what
 * your stack itself answers to a flag that it was passed. */
enum sp_message_flags {
  SP_MSG_PEEK = 1, SP_MSG_OOB = 2, SP_MSG_DONTWAIT = 4, SP_MSG_WAITALL = 8, SP_MSG_NOSIGNAL = 16, SP_MSG_TRUNC = 32,
  SP_MSG_CTRUNC = 64, SP_MSG_MORE = 128, SP_MSG_EOR = 256, SP_MSG_DONTROUTE = 512, SP_MSG_CLOSE_ON_EXEC = 1024,
  SP_MSG_UNKNOWN_BIT = 0x40000000
};
/* Which call of the family to use; the data path is the same, the code that wraps it is not. */
enum sp_form {
  SP_FORM_DEFAULT = 0, /* send / recv */
  SP_FORM_FILE = 1,    /* write / read: no flags */
  SP_FORM_ADDRESS = 2, /* sendto / recvfrom */
  SP_FORM_MESSAGE = 3, /* sendmsg / recvmsg: vectors, ancillary data */
  SP_FORM_VECTOR = 4   /* writev / readv */
};
enum { SP_MAX_HANDLES = 16 };
struct sp_transfer_args { /* send and recv */
  int32_t form;           /* enum sp_form */
  uint32_t flags;         /* in: enum sp_message_flags */
  const struct sp_buffer* buffers;
  uint32_t buffer_count; /* DEFAULT, FILE and ADDRESS take exactly one */
  uint32_t flags_out;    /* out, recv with SP_FORM_MESSAGE */
  struct sp_address_in to;    /* send, ADDRESS and MESSAGE; kind NULL: none */
  struct sp_address_out from; /* recv, ADDRESS and MESSAGE; kind NULL: none */
  /* Handles that travel with the data (SCM_RIGHTS); MESSAGE only. recv: count is in: room, out: received. */
  struct sp_handle handles[SP_MAX_HANDLES];
  uint32_t handle_count;
  uint32_t reserved;
};
struct sp_shutdown_args {
  int32_t how; /* SP_SHUT_*; any other value is passed on as an invalid one */
  int32_t reserved;
};
enum { SP_SHUT_RD = 0, SP_SHUT_WR = 1, SP_SHUT_RDWR = 2 };
struct sp_close_args {
  int32_t reserved;
};

/* Options. The comment says the type of the value; names are those of POSIX, Linux or Winsock. */
#define SP_OPTIONS(X)                                                                                                  \
  /* SOL_SOCKET: integers unless said otherwise */                                                                     \
  X(SO_ERROR) /* integer: enum sp_error of the pending error, SP_OK if none; native code in sp_result.native */        \
  X(SO_TYPE) /* integer: enum sp_type */                                                                               \
  X(SO_DOMAIN) /* integer: enum sp_family */                                                                           \
  X(SO_PROTOCOL) X(SO_ACCEPTCONN) X(SO_REUSEADDR) X(SO_REUSEPORT) X(SO_EXCLUSIVEADDRUSE) X(SO_KEEPALIVE)                \
  X(SO_BROADCAST) X(SO_DONTROUTE) X(SO_OOBINLINE) X(SO_DEBUG) X(SO_SNDBUF) X(SO_RCVBUF) X(SO_SNDLOWAT) X(SO_RCVLOWAT)   \
  X(SO_LINGER) /* linger */                                                                                            \
  X(SO_SNDTIMEO) X(SO_RCVTIMEO) /* duration */                                                                         \
  X(SO_PRIORITY) X(SO_MARK) X(SO_INCOMING_CPU) X(SO_PASSCRED) X(SO_TIMESTAMP) X(SO_RXQ_OVFL) X(SO_BUSY_POLL)            \
  X(SO_BINDTODEVICE) /* bytes */                                                                                       \
  X(SO_CONDITIONAL_ACCEPT) X(SO_PAUSE_ACCEPT)                                                                          \
  X(SO_CONNECT_TIME) /* integer: seconds; 0xFFFFFFFF, not -1, when not connected */                                    \
  X(SO_UPDATE_ACCEPT_CONTEXT) /* integer, set: the value of the listener's handle */                                   \
  X(SO_UPDATE_CONNECT_CONTEXT) /* set: no value, length 0 */                                                           \
  X(SO_CONNDATA) X(SO_CONNOPT) X(SO_MAX_MSG_SIZE) X(SO_GROUP_ID)                           \
  /* IP */                                                                                                             \
  X(IP_TTL) X(IP_TOS) X(IP_RECVERR) X(IP_FREEBIND) X(IP_TRANSPARENT) X(IP_MTU_DISCOVER) X(IP_BIND_ADDRESS_NO_PORT)      \
  X(IP_ADD_MEMBERSHIP) X(IP_DROP_MEMBERSHIP) /* address: the group */                                                  \
  X(IP_MULTICAST_TTL) X(IP_MULTICAST_LOOP) X(IPV6_V6ONLY) X(IPV6_UNICAST_HOPS) X(IPV6_TCLASS) X(IPV6_RECVERR)           \
  X(IPV6_ADD_MEMBERSHIP) X(IPV6_DROP_MEMBERSHIP) /* address: the group */                                              \
  /* TCP */                                                                                                            \
  X(TCP_NODELAY) X(TCP_CORK) X(TCP_MAXSEG) X(TCP_DEFER_ACCEPT) X(TCP_SYNCNT) X(TCP_LINGER2) X(TCP_QUICKACK)             \
  X(TCP_KEEPIDLE) X(TCP_KEEPINTVL) X(TCP_KEEPCNT) X(TCP_USER_TIMEOUT) /* milliseconds */                               \
  X(TCP_WINDOW_CLAMP) X(TCP_FASTOPEN) X(TCP_NOTSENT_LOWAT) X(TCP_SAVE_SYN) X(TCP_INQ)                                   \
  X(TCP_CONGESTION) /* bytes */                                                                                        \
  X(TCP_STATE) /* integer, read-only: enum sp_tcp_state, where the implementation shows it (Linux: TCP_INFO) */        \
  X(TCP_UNACCEPTED) /* integer, read-only: connections waiting in a listener's queue (Linux: TCP_INFO) */              \
  X(UNKNOWN_OPTION) /* an option number that nobody has, at a valid level */                                           \
  X(UNKNOWN_LEVEL)  /* a level that nobody has */

enum sp_option {
#define SP_OPTION_MEMBER(name) SP_##name,
  SP_OPTIONS(SP_OPTION_MEMBER)
#undef SP_OPTION_MEMBER
      SP_OPTION_COUNT
};
/* States of RFC 9293 3.3.2. */
enum sp_tcp_state {
  SP_TCP_CLOSED = 1, SP_TCP_LISTEN, SP_TCP_SYN_SENT, SP_TCP_SYN_RECEIVED, SP_TCP_ESTABLISHED, SP_TCP_FIN_WAIT_1,
  SP_TCP_FIN_WAIT_2, SP_TCP_CLOSE_WAIT, SP_TCP_CLOSING, SP_TCP_LAST_ACK, SP_TCP_TIME_WAIT
};
enum sp_value_type { SP_VALUE_INTEGER = 0, SP_VALUE_LINGER = 1, SP_VALUE_DURATION = 2, SP_VALUE_BYTES = 3, SP_VALUE_ADDRESS = 4 };
struct sp_option_args {
  int32_t option;      /* enum sp_option */
  int32_t value_type;  /* enum sp_value_type */
  int32_t kind;        /* enum sp_pointer_kind of the value pointer */
  int32_t length;      /* SP_NATURAL_LENGTH or the length to pass */
  int32_t length_kind; /* get only: enum sp_pointer_kind of the length argument */
  int32_t reported;    /* get only, out: the length that came back, or -1 */
  int64_t integer;     /* in/out */
  int32_t linger_on, linger_seconds; /* in/out */
  int64_t duration_ns; /* in/out; set: a negative one is passed on as a negative time, INT64_MAX as tv_usec out of range */
  uint8_t bytes[64];   /* in/out */
  uint32_t byte_count; /* in/out */
  uint32_t reserved;
  struct sp_address address; /* in: multicast group */
};

enum sp_ioctl { SP_IOCTL_READABLE = 0 /* FIONREAD */, SP_IOCTL_UNSENT = 1 /* SIOCOUTQ: sent, and not yet taken over by the other end */, SP_IOCTL_AT_MARK = 2 /* sockatmark */,
                SP_IOCTL_NONBLOCKING = 3 /* FIONBIO with `argument` */, SP_IOCTL_UNKNOWN = 4, SP_IOCTL_FAST_PATH = 5 };
struct sp_ioctl_args {
  int32_t request; /* enum sp_ioctl */
  int32_t kind;    /* enum sp_pointer_kind */
  int64_t argument;
};
struct sp_name_args { /* local_name, peer_name */
  struct sp_address_out name;
};
struct sp_mode_args {
  uint32_t set, clear; /* enum sp_mode bits; set_mode only */
};
struct sp_duplicate_args {
  int32_t onto; /* 0: a new handle; 1: the handle `target` is replaced (dup2) */
  uint32_t modes; /* SP_CLOSE_ON_EXEC for the new one (F_DUPFD_CLOEXEC, dup3) */
  struct sp_handle target;
};

/* ---- Readiness ------------------------------------------------------------------------------------------------------*/
/* SP_EVENT_OBJECT, what the operations mean:
 *  - watch_create makes an event object (WSACreateEvent): manual reset, not set. The watcher is the event object.
 *  - watch_add and watch_modify are one and the same: WSAEventSelect(socket, event object, events). `events` holds SP_FD_* bits
 *    alone and may be 0, which selects nothing. The cookie is remembered with the selection. A watcher of kind
 *    SP_HANDLE_INVALID is an invalid event handle.
 *  - watch_remove is WSAEventSelect(socket, no event object, 0).
 *  - A socket has one selection at a time, whichever event object it names; any number of sockets may name the same one. A socket
 *    that accept makes has the listener's: its event object, its mask and, until it is selected itself, its cookie.
 *  - watch_wait waits, reports, or both, as sp_watch_wait_args.step says:
 *      SP_WAIT_ONLY        waits until the event object is set, at most timeout_ns (0: only looks). value 1: it is set; 0: it is not,
 *                          the time was over. Nothing is reset, nothing is cleared.
 *      SP_REPORT_ONLY      WSAEnumNetworkEvents(`socket`, event object): in one step that nothing comes between, copies the network
 *                          events recorded for that socket, clears its record, and resets the event object. Never waits. With
 *                          keep_event NULL is passed in place of the event object, which then stays as it is. value: how many
 *                          entries; 0 is no event. A socket that is selected on another event object, or on none, is asked all the
 *                          same. A call that fails changes nothing.
 *      SP_WAIT_AND_REPORT  (what 0 means, too) SP_WAIT_ONLY and, if it is set, SP_REPORT_ONLY for each socket whose selection names
 *                          this event object. value: how many entries in all; 0 also if it was set and nothing was recorded.
 *    One sp_event stands for one network event of one socket: a single SP_FD_* bit, and its error (iErrorCode) as an enum
 *    sp_error. The cookie is that of the socket's selection. Events that do not fit into `capacity` are no option: it is always
 *    large enough, except where the array itself is wrong (kind), which is lpNetworkEvents.
 *  - watch_close is WSACloseEvent; selections that name it are left to themselves.
 *  - Closing a socket ends its selection. */
enum sp_mechanism {
  SP_POLL = 0, SP_SELECT = 1, SP_EPOLL = 2, SP_PPOLL = 3, SP_PSELECT = 4,
  SP_EVENT_OBJECT = 5,  /* WSAEventSelect / WSAEnumNetworkEvents */
  SP_WINDOW_MESSAGE = 6, /* WSAAsyncSelect. As above, to a window; an sp_event a message, in order; a closed watcher is no window */
  SP_COMPLETION_PORT = 7,
  SP_WSAPOLL = 8
};
enum sp_events { /* poll's names; select: IN, OUT and PRI are the three sets; epoll has the same */
  SP_IN = 1, SP_OUT = 2, SP_PRI = 4, SP_ERR = 8, SP_HUP = 16, SP_NVAL = 32, SP_RDHUP = 64, SP_RDNORM = 128,
  SP_RDBAND = 256, SP_WRNORM = 512, SP_WRBAND = 1024,
  /* network events of Winsock */
  SP_FD_READ = 0x10000, SP_FD_WRITE = 0x20000, SP_FD_OOB = 0x40000, SP_FD_ACCEPT = 0x80000, SP_FD_CONNECT = 0x100000,
  SP_FD_CLOSE = 0x200000
};
enum sp_watch_flags { SP_EDGE = 1, SP_ONESHOT = 2, SP_EXCLUSIVE = 4 };
struct sp_watch_create_args {
  int32_t mechanism; /* enum sp_mechanism */
  uint32_t modes;
};
/* add, modify, remove; sp_call.handle is the socket. poll: each add is an entry of its own, of the same socket too, as in poll's
 * array. */
struct sp_watch_set_args {
  struct sp_handle watcher;
  uint32_t events; /* enum sp_events */
  uint32_t flags;  /* enum sp_watch_flags; what a mechanism cannot do is SP_NOT_SUPPORTED */
  uint64_t cookie; /* comes back with each event */
};
struct sp_event {
  uint64_t cookie;
  uint32_t events; /* enum sp_events */
  int32_t error;   /* network events of Winsock: enum sp_error of the event, else SP_OK */
};
enum sp_watch_step { SP_WAIT_AND_REPORT = 0, SP_WAIT_ONLY = 1, SP_REPORT_ONLY = 2 }; /* SP_EVENT_OBJECT; others always do both */
struct sp_watch_wait_args { /* sp_call.handle is the watcher */
  int64_t timeout_ns; /* negative: no limit; 0: look and return */
  int32_t timeout_kind; /* 0 as it is; 1 one that the call must refuse (tv_usec out of range, negative time) */
  int32_t kind;         /* enum sp_pointer_kind of the array */
  int32_t capacity;     /* room in events; passed on as it is (0, negative) where the mechanism has such an argument */
  int32_t count;        /* out */
  struct sp_event* events;
  int32_t step;         /* enum sp_watch_step */
  int32_t keep_event;   /* SP_REPORT_ONLY: 1 passes no event object */
  struct sp_handle socket; /* SP_REPORT_ONLY */
  /* out, SP_REPORT_ONLY: SP_FD_* bits that were not recorded, whose place in iErrorCode the call wrote to all the same. 0 where
   * there is no such array. */
  uint32_t strays;
  uint32_t reserved;
};
struct sp_watch_close_args {
  int32_t reserved;
};

struct sp_call {
  uint32_t size;
  uint32_t op; /* enum sp_op */
  struct sp_handle handle;
  union {
    struct sp_socket_args socket;
    struct sp_socketpair_args socketpair;
    struct sp_bind_args bind;
    struct sp_listen_args listen;
    struct sp_connect_args connect;
    struct sp_accept_args accept;
    struct sp_disconnect_args disconnect;
    struct sp_transfer_args send, recv;
    struct sp_shutdown_args shutdown;
    struct sp_close_args close;
    struct sp_option_args get_option, set_option;
    struct sp_ioctl_args ioctl;
    struct sp_name_args local_name, peer_name;
    struct sp_mode_args set_mode, get_mode;
    struct sp_duplicate_args duplicate;
    struct sp_watch_create_args watch_create;
    struct sp_watch_set_args watch_set;
    struct sp_watch_wait_args watch_wait;
    struct sp_watch_close_args watch_close;
  } u;
};

struct sp_result {
  uint32_t size;
  int32_t error;  /* enum sp_error */
  int64_t native; /* the implementation's own code behind `error` (errno, WSAGetLastError, err_t), 0 if none */
  int64_t value;  /* what the call returned; see SP_OPS. On an error: what it returned all the same, normally -1 */
  struct sp_handle handle; /* a handle that the call made */
};

/* ---- Optional groups ------------------------------------------------------------------------------------------------
 * A NULL group, or a NULL function in one, is a capability that is not there. Functions return an sp_error. */

/* The session: WSAStartup and WSACleanup, or WSPStartup and WSPCleanup. Versions are major << 8 | minor: 0x0202, 0x0101, 0x0100.
 * `open` has started it once, with the highest version that the provider knows: scenarios that are not about the session need not.
 * Those that are undo that first with one cleanup. After the last cleanup calls are still made, on handles from before it too:
 * answer as the implementation does. Events of a watcher that were recorded before stay visible; the watcher stays valid.
 * given: the version to use from now on (wVersion); highest: the highest that the implementation has (wHighVersion). */
struct sp_session_group {
  uint32_t size;
  int32_t (*startup)(void* self, uint32_t version, uint32_t* given, uint32_t* highest, int64_t* native);
  int32_t (*cleanup)(void* self, int64_t* native);
};

/* Threads as the suite sees them: a token that names one. Asked for by the thread itself. */
struct sp_thread_group {
  uint32_t size;
  int64_t (*current)(void* self);
  /* SP_OK: it sleeps in a call. SP_EAGAIN: it runs, or is about to. SP_NOT_SUPPORTED: cannot be told. */
  int32_t (*blocked)(void* self, int64_t thread);
  /* A signal that does nothing but interrupt. restart: interrupted calls are to be restarted (SA_RESTART). */
  int32_t (*interrupt)(void* self, int64_t thread, int32_t restart);
  /* Ask the thread to end itself at its next cancellation point (pthread_cancel). */
  int32_t (*cancel)(void* self, int64_t thread);
  /* Run body(context) in a thread that may be cancelled; sets *cancelled to 1 if it was. Blocks until it has ended. */
  int32_t (*run_cancellable)(void* self, void (*body)(void*), void* context, int64_t* thread_out, int32_t* cancelled);
};

/* Signals that a call raises in its own process. */
struct sp_signal_group {
  uint32_t size;
  /* How many SIGPIPE this process was sent since the last call of this function. */
  int32_t (*take_pipe_signals)(void* self, uint64_t* count);
  /* How many SIGURG and SIGIO since the last call. */
  int32_t (*take_io_signals)(void* self, uint64_t* count);
};

/* Other processes. A child runs `child(context)` and ends with its value. */
struct sp_process_group {
  uint32_t size;
  int32_t (*fork)(void* self, int32_t (*child)(void* context), void* context, int64_t* process);
  /* A fresh program image: argv of this very program. Handles without SP_CLOSE_ON_EXEC stay valid under the same value.
   * keep[] are descriptors of the host (pipes of the suite) that must stay open; on Windows, handles to be inherited. */
  int32_t (*exec)(void* self, const char* const* argv, const int32_t* keep, uint32_t keep_count, int64_t* process);
  /* Wait for the end. exit_code: 0..255, or 256 + the signal's number. SP_EAGAIN at the limit. */
  int32_t (*wait)(void* self, int64_t process, int64_t timeout_ns, int32_t* exit_code);
  int32_t (*kill)(void* self, int64_t process);
  /* Hand a handle over by value (WSADuplicateSocket). Blob size: in room, out used. */
  int32_t (*export_handle)(void* self, struct sp_handle handle, int64_t process, uint8_t* blob, uint32_t* size);
  int32_t (*import_handle)(void* self, const uint8_t* blob, uint32_t size, struct sp_handle* handle);
};

/* A service provider DLL, and what only its caller sees of it: ws2_32, whose part is played here. `size` of a text: in room, out
 * used, without a NUL. */
struct sp_upcall_group {
  uint32_t size;
  /* The calls that it made into the upcall tables since the last call of this, a line each, oldest first: `TABLE NAME key=value...`,
   * as `1 WPUCloseSocketHandle socket=s7`. TABLE is the number of the table it went through, 1 for the first that it was given.
   * socket: the value of the handle. As many whole lines as there is room for; the others come with the next call. */
  int32_t (*take_log)(void* self, char* text, uint32_t* size);
  /* The names that the DLL exports, a line each. */
  int32_t (*exports)(void* self, char* text, uint32_t* size);
  /* WSPStartup without a place for its data (0) or for its table (1): what it returns. One that succeeds is undone. */
  int32_t (*startup_without)(void* self, int32_t which, int64_t* native);
  /* WSPStartup once more, with another upcall table. It wants a cleanup of its own. */
  int32_t (*startup_with_new_table)(void* self, int64_t* native);
  /* WSPSocket, with these in place of family and type: SP_SPI_GIVEN, SP_SPI_ZERO, or SP_SPI_FROM_INFO (FROM_PROTOCOL_INFO); and with
   * WSA_FLAG_OVERLAPPED or without. */
  int32_t (*make_socket)(void* self, const struct sp_socket_args* args, int32_t family, int32_t type, int32_t overlapped,
                         struct sp_result* result);
  /* enum sp_spi_fact bits of a socket. */
  int32_t (*facts)(void* self, struct sp_handle socket, uint32_t* facts);
  /* The blocking hook of the calling thread; NULL: none, as at the start. It answers whether it wants to be called again at once. */
  int32_t (*set_blocking_hook)(void* self, int32_t (*hook)(void* context), void* context);
};
enum { SP_SPI_GIVEN = 0, SP_SPI_ZERO = 1, SP_SPI_FROM_INFO = 2 };
enum sp_spi_fact {
  SP_SPI_CREATED = 1,    /* its handle came from WPUCreateSocketHandle, and has not been closed */
  SP_SPI_MODIFIED = 2,   /* its handle went through WPUModifyIFSHandle */
  SP_SPI_SYSTEM = 4,     /* the system knows it as a handle */
  SP_SPI_CLAIMS_IFS = 8  /* its WSAPROTOCOL_INFO has XP1_IFS_HANDLES */
};

/* A clock of its own. Without this group the host's monotonic clock is meant. */
struct sp_clock_group {
  uint32_t size;
  int64_t (*now_ns)(void* self);
  int32_t (*is_virtual)(void* self); /* 1: time moves only when no attached thread can run */
};

/* With a virtual clock the provider decides which thread runs. Every thread of the suite attaches itself first, detaches
 * last, and waits only in a call of the provider or in wait_until. ready(context) is called with the scheduler's lock held
 * and must not call the provider. wait_until answers SP_OK, SP_ETIMEDOUT, or SP_EDEADLK when nothing can ever run again.
 * expect says that a thread is about to be made that will attach itself: until it has, nobody else is chosen and time stands
 * still, so that whether a new thread takes part in a choice is no race. seed comes before the first attach. */
struct sp_scheduler_group {
  uint32_t size;
  int32_t (*attach)(void* self, const char* name);
  int32_t (*detach)(void* self);
  int32_t (*wait_until)(void* self, int32_t (*ready)(void* context), void* context, int64_t timeout_ns, const char* what);
  int32_t (*seed)(void* self, uint64_t seed);
  int32_t (*expect)(void* self);
};

/* The network between the two ends. */
enum sp_direction { SP_INBOUND = 1, SP_OUTBOUND = 2 };
struct sp_network_group {
  uint32_t size;
  /* From now on everything that arrives for this socket (a listener: every segment for it) is lost, silently; off: again
   * delivered. Established children of a listener are not meant. Works on a socket in any state. */
  int32_t (*silence)(void* self, struct sp_handle socket, int32_t on);
  /* An address of this family that swallows every packet without an answer: a black hole. */
  int32_t (*black_hole)(void* self, int32_t family, struct sp_address* address);
  /* Impairment of all traffic: drop and duplicate in parts of a million, delay and jitter in nanoseconds. */
  int32_t (*impair)(void* self, uint32_t drop_ppm, uint32_t duplicate_ppm, int64_t delay_ns, int64_t jitter_ns);
  int32_t (*inject)(void* self, const uint8_t* packet, uint32_t size);
  int32_t (*capture)(void* self, const char* path);
};

/* Limits and knobs. All of them concern this process or its private network alone, never the machine. */
enum sp_limit {
  SP_LIMIT_HANDLES = 0,       /* how many more handles this process may open; negative: as at the start. It is OPEN_MAX for
                               * poll too: more entries than that are EINVAL */
  SP_LIMIT_SYSTEM_HANDLES = 1, /* ENFILE: only where the provider can pretend */
  SP_LIMIT_BUFFERS = 2        /* ENOBUFS: likewise */
};
enum sp_knob {
  SP_KNOB_BACKLOG_MAX = 0,        /* net.core.somaxconn */
  SP_KNOB_SYN_RETRIES = 1,        /* net.ipv4.tcp_syn_retries */
  SP_KNOB_SYNACK_RETRIES = 2,
  SP_KNOB_SYN_COOKIES = 3,
  SP_KNOB_ABORT_ON_OVERFLOW = 4,
  SP_KNOB_FIN_TIMEOUT = 5,        /* seconds */
  SP_KNOB_MAX_SYN_BACKLOG = 6,
  SP_KNOB_RTO_MAX_MS = 7,
  SP_KNOB_PORT_RANGE_LOW = 8,     /* ephemeral ports */
  SP_KNOB_PORT_RANGE_HIGH = 9,
  SP_KNOB_TIME_WAIT_REUSE = 10,
  SP_KNOB_UNIX_BACKLOG_MAX = 11,  /* net.unix.max_dgram_qlen */
  SP_KNOB_ORPHAN_RETRIES = 12,
  SP_KNOB_RETRIES2 = 13
};
struct sp_limit_group {
  uint32_t size;
  int32_t (*set_limit)(void* self, int32_t limit, int64_t headroom);
  int32_t (*get_knob)(void* self, int32_t knob, int64_t* value);
  int32_t (*set_knob)(void* self, int32_t knob, int64_t value);
};

struct sp_counter_group {
  uint32_t size;
  /* Handles that the implementation holds open for this process: sockets, watchers, whatever it makes of its own. */
  int32_t (*open_handles)(void* self, uint64_t* count);
  /* The same, described, a line each, for a report of what was left open. */
  int32_t (*describe_handles)(void* self, char* text, uint32_t* size);
};

/* ---- Capabilities ---------------------------------------------------------------------------------------------------*/
#define SP_CAPABILITIES(X)                                                                                             \
  X(INET, inet) X(INET6, inet6) X(DUAL_STACK, dual_stack) X(UNIX_STREAM, unix_stream) X(UNIX_SEQPACKET, unix_seqpacket)  \
  X(UNIX_DATAGRAM, unix_datagram) X(UDP, udp) X(ABSTRACT_NAMES, abstract_names) X(CONNECT_DATA, connect_data)           \
  X(CONDITION, condition) X(EVENT_OBJECTS, event_objects) X(WINDOW_MESSAGES, window_messages) X(OVERLAPPED, overlapped)  \
  X(POLL, poll) X(SELECT, select) X(EPOLL, epoll) X(THREADS, threads) X(SIGNALS, signals) X(CANCELLATION, cancellation) \
  X(PROCESSES, processes) X(HANDLE_PASSING, handle_passing) X(HANDLE_EXPORT, handle_export) X(SESSION, session)         \
  X(CLOCK, clock) X(SCHEDULER, scheduler) X(SILENCE, silence) X(BLACK_HOLE, black_hole) X(IMPAIR, impair)               \
  X(INJECT, inject) X(CAPTURE, capture) X(HANDLE_LIMIT, handle_limit) X(KNOBS, knobs) X(HANDLE_COUNT, handle_count)     \
  X(SPI, spi) X(TCP_STATE_SHOWN, tcp_state) X(FAULTY_LIMITS, faulty_limits)

enum sp_capability {
#define SP_CAPABILITY_MEMBER(name, text) SP_CAP_##name,
  SP_CAPABILITIES(SP_CAPABILITY_MEMBER)
#undef SP_CAPABILITY_MEMBER
      SP_CAP_COUNT
};

/* ---- The table ------------------------------------------------------------------------------------------------------*/
typedef struct sp_operation_* sp_operation;

struct sp_provider {
  uint32_t size;    /* sizeof(struct sp_provider) */
  uint32_t version; /* SP_API_VERSION */
  const char* name;
  const char* text; /* one line for people: what it is and which version */

  /* argument: what stands behind the colon of PROVIDER:ARG, or "". self comes back in every call. Returns an sp_error; on
   * failure *why may say more. */
  int32_t (*open)(const char* argument, void** self, const char** why);
  void (*close)(void* self);
  /* SP_OK, or SP_NOT_SUPPORTED with *why saying what is missing here. Asked once a process and kept. */
  int32_t (*capability)(void* self, int32_t capability, const char** why);

  /* Carry out one call, blocking as long as it takes. */
  void (*call)(void* self, struct sp_call* call, struct sp_result* result);

  /* The same in two halves; NULL: the suite runs `call` in a thread of its own. Required for SP_OVERLAPPED calls.
   * begin: SP_OK: taken, and done already; SP_IO_PENDING: taken, and still under way (ERROR_IO_PENDING). Both make an operation,
   * and `wait` has its result. SP_NOT_SUPPORTED: cannot. Any other error is what the implementation refused the call with at
   * once: there is no operation then.
   * wait: SP_OK and the result, of an operation that failed too (result->error is its completion status), or SP_EAGAIN when
   * timeout_ns is over first (0: only looks). After SP_OK the operation is gone; it ends once, whatever ends it.
   * cancel asks it to end early (CancelIoEx); it then ends with SP_OPERATION_ABORTED, unless it was done before. SP_OK: asked, or
   * done already. `wait` is still needed.
   * The sp_call and everything that it points to stay as they are until wait has answered SP_OK. */
  int32_t (*begin)(void* self, struct sp_call* call, sp_operation* operation);
  int32_t (*wait)(void* self, sp_operation operation, int64_t timeout_ns, struct sp_result* result);
  int32_t (*cancel)(void* self, sp_operation operation);

  const struct sp_session_group* session;
  const struct sp_thread_group* threads;
  const struct sp_signal_group* signals;
  const struct sp_process_group* processes;
  const struct sp_upcall_group* upcalls;
  const struct sp_clock_group* clock;
  const struct sp_scheduler_group* scheduler;
  const struct sp_network_group* network;
  const struct sp_limit_group* limits;
  const struct sp_counter_group* counters;
};

typedef const struct sp_provider* (*sp_provider_function)(void);
#define SP_PROVIDER_SYMBOL "sockproof_provider"

#ifdef __cplusplus
}
#endif
#endif
