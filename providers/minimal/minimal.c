/* The smallest provider that is of use: the libc's sockets behind the C interface, in plain C. Copy it, put your own stack's
 * calls in place of socket(), bind() and the others, and widen it until nothing that your stack can do is 'not supported'.
 *
 * What it leaves out (event objects, other processes, limits ...) it simply does not mention: NULL groups, and
 * SP_NOT_SUPPORTED for calls and arguments that it does not handle.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sockproof/provider.h"

/* ---- Errors: your codes to neutral names. Only those that your stack can return. */
static int32_t neutral_error(int code) {
  switch (code) {
    case 0:
      return SP_OK;
/* clang-format off */
#define MAP(name) case name: return SP_##name;
    MAP(EACCES) MAP(EADDRINUSE) MAP(EADDRNOTAVAIL) MAP(EAFNOSUPPORT) MAP(EAGAIN) MAP(EALREADY) MAP(EBADF) MAP(ECONNABORTED)
    MAP(ECONNREFUSED) MAP(ECONNRESET) MAP(EDESTADDRREQ) MAP(EFAULT) MAP(EHOSTUNREACH) MAP(EINPROGRESS) MAP(EINTR) MAP(EINVAL)
    MAP(EIO) MAP(EISCONN) MAP(EISDIR) MAP(ELOOP) MAP(EMFILE) MAP(EMSGSIZE) MAP(ENAMETOOLONG) MAP(ENETDOWN) MAP(ENETUNREACH)
    MAP(ENFILE) MAP(ENOBUFS) MAP(ENODEV) MAP(ENOENT) MAP(ENOMEM) MAP(ENOPROTOOPT) MAP(ENOTCONN) MAP(ENOTDIR) MAP(ENOTSOCK)
    MAP(EOPNOTSUPP) MAP(EPERM) MAP(EPIPE) MAP(EPROTO) MAP(EPROTONOSUPPORT) MAP(EPROTOTYPE) MAP(EROFS) MAP(ETIMEDOUT)
#undef MAP
      /* clang-format on */
  }
  return SP_UNKNOWN_ERROR;
}

static void finish(struct sp_result* result, int64_t returned) {
  result->value = returned;
  if (returned < 0) {
    result->native = errno;
    result->error = neutral_error(errno);
  }
}

static void not_supported(struct sp_result* result) { result->error = SP_NOT_SUPPORTED; }

/* ---- Handles: what the suite calls a socket, as yours. */
static int descriptor(const struct sp_handle* handle) { return handle->kind == SP_HANDLE_SOCKET ? (int)handle->value : -1; }

static void new_handle(struct sp_result* result, int fd) {
  finish(result, fd);
  if (fd >= 0) {
    result->handle.kind = SP_HANDLE_SOCKET;
    result->handle.value = fd;
    result->value = 0;
  }
}

/* ---- Addresses, both ways. 0: there is no such address here. */
static socklen_t to_native(const struct sp_address* from, struct sockaddr_storage* to) {
  memset(to, 0, sizeof *to);
  if (from->family == SP_INET) {
    struct sockaddr_in* in = (struct sockaddr_in*)to;
    in->sin_family = AF_INET;
    in->sin_port = htons(from->port);
    memcpy(&in->sin_addr, from->bytes, 4);
    return sizeof *in;
  }
  if (from->family == SP_INET6) {
    struct sockaddr_in6* in = (struct sockaddr_in6*)to;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(from->port);
    in->sin6_scope_id = from->scope;
    memcpy(&in->sin6_addr, from->bytes, 16);
    return sizeof *in;
  }
  if (from->family == SP_UNIX) {
    struct sockaddr_un* un = (struct sockaddr_un*)to;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, from->path, from->path_length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + from->path_length +
                       (from->path_length != 0 && from->path[0] != 0));
  }
  if (from->family != SP_UNSPEC) return 0;
  to->ss_family = AF_UNSPEC;
  return sizeof(struct sockaddr_in);
}

static void from_native(const struct sockaddr_storage* from, socklen_t length, struct sp_address_out* out) {
  out->reported = (int32_t)length;
  memset(&out->address, 0, sizeof out->address);
  if (from->ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
    const struct sockaddr_in* in = (const struct sockaddr_in*)from;
    out->address.family = SP_INET;
    out->address.port = ntohs(in->sin_port);
    memcpy(out->address.bytes, &in->sin_addr, 4);
    out->decoded = 1;
  } else if (from->ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
    const struct sockaddr_in6* in = (const struct sockaddr_in6*)from;
    out->address.family = SP_INET6;
    out->address.port = ntohs(in->sin6_port);
    out->address.scope = in->sin6_scope_id;
    memcpy(out->address.bytes, &in->sin6_addr, 16);
    out->decoded = 1;
  } else if (from->ss_family == AF_UNIX && length >= offsetof(struct sockaddr_un, sun_path)) {
    const struct sockaddr_un* un = (const struct sockaddr_un*)from;
    size_t path = length - offsetof(struct sockaddr_un, sun_path);
    if (path > 0 && un->sun_path[0] != 0) path = strnlen(un->sun_path, path);
    out->address.family = SP_UNIX;
    out->address.path_length = (uint16_t)path;
    memcpy(out->address.path, un->sun_path, path < SP_PATH_MAX ? path : SP_PATH_MAX);
    out->decoded = 1;
  }
}

/* An address that the call should fill in: NULL if none is asked for, the caller's own buffer (whose end it watches) if one
 * is. Lengths that are wrong on purpose are passed on as they are. */
struct out_address {
  struct sockaddr* buffer;
  socklen_t length;
  socklen_t* length_pointer;
};
static int prepare(struct sp_address_out* out, struct out_address* native) {
  if (out->kind == SP_POINTER_INVALID || out->length_kind == SP_POINTER_INVALID) return 0; /* this one has no such pointer */
  native->buffer = out->kind == SP_POINTER_VALID ? (struct sockaddr*)out->raw : NULL;
  native->length = (socklen_t)(out->length == SP_NATURAL_LENGTH ? out->raw_size : out->length);
  native->length_pointer = out->length_kind == SP_POINTER_VALID ? &native->length : NULL;
  out->reported = -1;
  out->decoded = 0;
  return 1;
}
static void decode(struct sp_address_out* out, const struct out_address* native, int32_t error) {
  if (native->length_pointer == NULL) return;
  out->reported = (int32_t)native->length; /* after an error too: whether the call left it alone is looked at */
  if (error != SP_OK) return;
  if (native->buffer == NULL || native->length > (socklen_t)out->raw_size) return;
  if (out->length != SP_NATURAL_LENGTH && native->length > (socklen_t)out->length) return; /* cut: not to be decoded */
  struct sockaddr_storage copy;
  memset(&copy, 0, sizeof copy);
  memcpy(&copy, out->raw, native->length < sizeof copy ? native->length : sizeof copy);
  from_native(&copy, native->length, out);
}

/* ---- Readiness: a watcher is a list of sockets to poll. */
enum { MAX_WATCHED = 64 };
struct watcher {
  int count;
  struct pollfd sockets[MAX_WATCHED];
  uint64_t cookies[MAX_WATCHED];
};
static pthread_mutex_t watcher_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct {
  uint32_t neutral;
  short native;
} event_names[] = {{SP_IN, POLLIN},         {SP_OUT, POLLOUT},       {SP_PRI, POLLPRI},      {SP_ERR, POLLERR},
                   {SP_HUP, POLLHUP},       {SP_NVAL, POLLNVAL},     {SP_RDHUP, POLLRDHUP},  {SP_RDNORM, POLLRDNORM},
                   {SP_RDBAND, POLLRDBAND}, {SP_WRNORM, POLLWRNORM}, {SP_WRBAND, POLLWRBAND}};

static void watch(struct sp_call* call, struct sp_result* result) {
  struct sp_watch_set_args* args = &call->u.watch_set;
  struct watcher* watcher =
      (struct watcher*)(intptr_t)(call->op == SP_OP_WATCH_WAIT || call->op == SP_OP_WATCH_CLOSE ? call->handle.value
                                                                                                : args->watcher.value);
  if (call->op == SP_OP_WATCH_CREATE) {
    if (call->u.watch_create.mechanism != SP_POLL || call->u.watch_create.modes != 0) {
      not_supported(result);
      return;
    }
    watcher = calloc(1, sizeof *watcher);
    result->handle.kind = SP_HANDLE_WATCHER;
    result->handle.value = (intptr_t)watcher;
  } else if (call->op == SP_OP_WATCH_CLOSE) {
    free(watcher);
  } else if (call->op == SP_OP_WATCH_WAIT) {
    struct sp_watch_wait_args* wait = &call->u.watch_wait;
    if (wait->timeout_kind != 0 || wait->kind != SP_POINTER_VALID || wait->capacity < 1) {
      not_supported(result);
      return;
    }
    pthread_mutex_lock(&watcher_lock);
    struct watcher copy = *watcher;
    pthread_mutex_unlock(&watcher_lock);
    const int64_t ms = wait->timeout_ns < 0 ? -1 : (wait->timeout_ns + 999999) / 1000000;
    finish(result, poll(copy.sockets, (nfds_t)copy.count, (int)ms));
    wait->count = 0;
    for (int i = 0; result->error == SP_OK && i < copy.count && wait->count < wait->capacity; ++i) {
      struct sp_event event = {copy.cookies[i], 0, SP_OK};
      for (size_t e = 0; e < sizeof event_names / sizeof *event_names; ++e) {
        if (copy.sockets[i].revents & event_names[e].native) event.events |= event_names[e].neutral;
      }
      if (event.events != 0) wait->events[wait->count++] = event;
    }
  } else if (args->flags != 0) {
    not_supported(result); /* edge, one-shot, exclusive: poll has none of it */
  } else {
    pthread_mutex_lock(&watcher_lock);
    int at = call->op == SP_OP_WATCH_ADD ? watcher->count : 0; /* poll takes the same socket twice */
    while (at < watcher->count && watcher->sockets[at].fd != (int)call->handle.value) ++at;
    if (call->op == SP_OP_WATCH_REMOVE) {
      if (at < watcher->count) {
        watcher->sockets[at] = watcher->sockets[--watcher->count];
        watcher->cookies[at] = watcher->cookies[watcher->count];
      }
    } else if (at < MAX_WATCHED) {
      if (at == watcher->count) ++watcher->count;
      watcher->sockets[at].fd = (int)call->handle.value;
      watcher->sockets[at].events = 0;
      watcher->cookies[at] = args->cookie;
      for (size_t e = 0; e < sizeof event_names / sizeof *event_names; ++e) {
        if (args->events & event_names[e].neutral) watcher->sockets[at].events |= event_names[e].native;
      }
    } else {
      not_supported(result);
    }
    pthread_mutex_unlock(&watcher_lock);
  }
}

/* ---- Options: a table of those that exist here. */
static int native_option(int32_t option, int* level, int* name) {
  *level = SOL_SOCKET;
  switch (option) {
    case SP_SO_ERROR:
      *name = SO_ERROR;
      return 1;
    case SP_SO_ACCEPTCONN:
      *name = SO_ACCEPTCONN;
      return 1;
    case SP_SO_REUSEADDR:
      *name = SO_REUSEADDR;
      return 1;
    case SP_SO_KEEPALIVE:
      *name = SO_KEEPALIVE;
      return 1;
    case SP_IPV6_V6ONLY:
      *level = IPPROTO_IPV6;
      *name = IPV6_V6ONLY;
      return 1;
    default:
      return 0;
  }
}

static void option(struct sp_call* call, struct sp_result* result) {
  struct sp_option_args* args = &call->u.get_option;
  int level, name, value = (int)args->integer;
  if (args->value_type != SP_VALUE_INTEGER || args->kind != SP_POINTER_VALID || args->length != SP_NATURAL_LENGTH ||
      !native_option(args->option, &level, &name)) {
    not_supported(result);
    return;
  }
  socklen_t length = sizeof value;
  if (call->op == SP_OP_SET_OPTION) {
    finish(result, setsockopt(descriptor(&call->handle), level, name, &value, length));
    return;
  }
  finish(result, getsockopt(descriptor(&call->handle), level, name, &value, &length));
  args->reported = (int32_t)length;
  args->integer = value;
  if (args->option == SP_SO_ERROR && result->error == SP_OK) {
    result->native = value;
    args->integer = neutral_error(value);
  }
}

/* ---- Data. */
static void transfer(struct sp_call* call, struct sp_result* result) {
  struct sp_transfer_args* args = &call->u.send;
  const struct sp_buffer* buffer = args->buffers;
  int flags = 0;
  if (args->form != SP_FORM_DEFAULT || args->buffer_count != 1 || buffer->kind != SP_POINTER_VALID || args->handle_count != 0) {
    not_supported(result);
    return;
  }
  if (args->flags & ~(uint32_t)(SP_MSG_PEEK | SP_MSG_DONTWAIT | SP_MSG_NOSIGNAL | SP_MSG_WAITALL)) {
    not_supported(result);
    return;
  }
  if (args->flags & SP_MSG_PEEK) flags |= MSG_PEEK;
  if (args->flags & SP_MSG_DONTWAIT) flags |= MSG_DONTWAIT;
  if (args->flags & SP_MSG_NOSIGNAL) flags |= MSG_NOSIGNAL;
  if (args->flags & SP_MSG_WAITALL) flags |= MSG_WAITALL;
  const int fd = descriptor(&call->handle);
  finish(result,
         call->op == SP_OP_SEND ? send(fd, buffer->data, buffer->length, flags) : recv(fd, buffer->data, buffer->length, flags));
  args->handle_count = 0;
  args->flags_out = 0;
}

/* ---- The one entry: which call it is, and its arguments. */
static void provider_call(void* self, struct sp_call* call, struct sp_result* result) {
  (void)self;
  struct sockaddr_storage address;
  struct out_address out;
  const int fd = descriptor(&call->handle);
  if (call->op < SP_OP_WATCH_CREATE && (call->handle.kind == SP_HANDLE_NOT_SOCKET || call->handle.kind == SP_HANDLE_PATH_ONLY)) {
    not_supported(result);
    return;
  }
  switch (call->op) {
    case SP_OP_SOCKET: {
      const struct sp_socket_args* args = &call->u.socket;
      const int family = args->family == SP_INET    ? AF_INET
                         : args->family == SP_INET6 ? AF_INET6
                         : args->family == SP_UNIX  ? AF_UNIX
                                                    : -1;
      const int type = args->type == SP_STREAM ? SOCK_STREAM : args->type == SP_SEQPACKET ? SOCK_SEQPACKET : -1;
      if (family < 0 || type < 0 || (args->modes & ~(uint32_t)SP_NONBLOCKING) != 0) {
        not_supported(result);
        return;
      }
      new_handle(result, socket(family, type | (args->modes & SP_NONBLOCKING ? SOCK_NONBLOCK : 0), args->protocol));
      return;
    }
    case SP_OP_BIND:
    case SP_OP_CONNECT: {
      const struct sp_address_in* in = call->op == SP_OP_BIND ? &call->u.bind.address : &call->u.connect.address;
      if (in->kind != SP_POINTER_VALID) {
        not_supported(result);
        return;
      }
      const socklen_t natural = to_native(&in->address, &address);
      if (natural == 0) {
        not_supported(result);
        return;
      }
      const socklen_t length = in->length == SP_NATURAL_LENGTH ? natural : (socklen_t)in->length;
      finish(result, call->op == SP_OP_BIND ? bind(fd, (struct sockaddr*)&address, length)
                                            : connect(fd, (struct sockaddr*)&address, length));
      return;
    }
    case SP_OP_LISTEN:
      finish(result, listen(fd, call->u.listen.backlog));
      return;
    case SP_OP_ACCEPT: {
      struct sp_accept_args* args = &call->u.accept;
      if (args->modes != 0 || args->form != 0 || args->condition != NULL || args->extended != 0 || !prepare(&args->peer, &out)) {
        not_supported(result);
        return;
      }
      new_handle(result, accept(fd, out.buffer, out.length_pointer));
      decode(&args->peer, &out, result->error);
      return;
    }
    case SP_OP_LOCAL_NAME:
    case SP_OP_PEER_NAME: {
      struct sp_address_out* name = &call->u.local_name.name;
      if (!prepare(name, &out)) {
        not_supported(result);
        return;
      }
      finish(result, call->op == SP_OP_LOCAL_NAME ? getsockname(fd, out.buffer, out.length_pointer)
                                                  : getpeername(fd, out.buffer, out.length_pointer));
      decode(name, &out, result->error);
      return;
    }
    case SP_OP_SEND:
    case SP_OP_RECV:
      transfer(call, result);
      return;
    case SP_OP_SHUTDOWN:
      finish(result, shutdown(fd, call->u.shutdown.how)); /* SP_SHUT_RD, WR and RDWR happen to be 0, 1 and 2 here too */
      return;
    case SP_OP_CLOSE:
      finish(result, close(fd));
      return;
    case SP_OP_GET_OPTION:
    case SP_OP_SET_OPTION:
      option(call, result);
      return;
    case SP_OP_SET_MODE: {
      if ((call->u.set_mode.set | call->u.set_mode.clear) & ~(uint32_t)SP_NONBLOCKING) {
        not_supported(result);
        return;
      }
      const int flags = fcntl(fd, F_GETFL);
      finish(result,
             flags < 0 ? flags : fcntl(fd, F_SETFL, call->u.set_mode.set != 0 ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
      return;
    }
    case SP_OP_WATCH_CREATE:
    case SP_OP_WATCH_ADD:
    case SP_OP_WATCH_MODIFY:
    case SP_OP_WATCH_REMOVE:
    case SP_OP_WATCH_WAIT:
    case SP_OP_WATCH_CLOSE:
      watch(call, result);
      return;
    default:
      not_supported(result);
  }
}

static int32_t provider_open(const char* argument, void** self, const char** why) {
  (void)argument;
  (void)why;
  *self = NULL; /* a provider with state of its own makes it here */
  return SP_OK;
}

static void provider_close(void* self) { (void)self; }

/* What a scenario needs beyond a call is asked for here. Say why something is missing: people read it in the report. */
static int32_t provider_capability(void* self, int32_t capability, const char** why) {
  (void)self;
  switch (capability) {
    case SP_CAP_INET:
    case SP_CAP_INET6:
    case SP_CAP_DUAL_STACK:
    case SP_CAP_UNIX_STREAM:
    case SP_CAP_UNIX_SEQPACKET:
    case SP_CAP_POLL:
    case SP_CAP_THREADS:
      return SP_OK;
    default:
      *why = "the minimal provider leaves it out";
      return SP_NOT_SUPPORTED;
  }
}

const struct sp_provider* sockproof_provider(void) {
  static const struct sp_provider provider = {
      .size = sizeof provider,
      .version = SP_API_VERSION,
      .name = "minimal",
      .text = "the libc's sockets, as little of them as makes sense",
      .open = provider_open,
      .close = provider_close,
      .capability = provider_capability,
      .call = provider_call,
  };
  return &provider;
}
