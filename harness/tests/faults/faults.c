/* Faults of a socket implementation, one at a time, put in front of the C library with LD_PRELOAD: SOCKPROOF_FAULT names the one.
 * The battery must catch each (test_faults.py). What real stacks got wrong, not what is easy to catch.
 *
 * Only the calls that a fault is about are wrapped, all the same in every process; a fault that is not chosen changes nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
static void* real(const char* name) { return dlsym(RTLD_NEXT, name); }

static int fault(const char* name) {
  const char* chosen = getenv("SOCKPROOF_FAULT");
  return chosen != NULL && strcmp(chosen, name) == 0;
}

enum { MAX_FD = 4096 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_socket(int fd) {
  int type;
  socklen_t size = sizeof type;
  const int saved = errno;
  const int yes = REAL(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
  errno = saved;
  return yes;
}
static int is_stream(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  const int saved = errno;
  REAL(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  errno = saved;
  return type == SOCK_STREAM;
}
static int is_nonblocking(int fd) { return (REAL(fcntl)(fd, F_GETFL) & O_NONBLOCK) != 0; }

/* ---- listen, bind */
int listen(int fd, int backlog) {
  if (fault("listen-clamps-to-one") && backlog > 1) backlog = 1;
  if (fault("listen-clamps-to-fifty") && backlog > 50) backlog = 50;
  if (fault("listen-ignores-second-call")) {
    int listening = 0;
    socklen_t size = sizeof listening;
    if (REAL(getsockopt)(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening) return 0;
  }
  return REAL(listen)(fd, backlog);
}

int bind(int fd, const struct sockaddr* address, socklen_t length) {
  const int result = REAL(bind)(fd, address, length);
  if (result != 0 && errno == EADDRINUSE && fault("bind-takes-another-port") && address->sa_family == AF_INET) {
    struct sockaddr_in other = *(const struct sockaddr_in*)address;
    other.sin_port = 0;
    return REAL(bind)(fd, (struct sockaddr*)&other, sizeof other);
  }
  return result;
}

/* ---- accept */
static int stash[MAX_FD][64], stashed[MAX_FD];

static int accept_wrapped(int fd, struct sockaddr* address, socklen_t* length, int flags, int four) {
  if (fault("accept-newest-first") && fd >= 0 && fd < MAX_FD) {
    pthread_mutex_lock(&lock);
    if (stashed[fd] > 0) {
      const int newest = stash[fd][--stashed[fd]];
      pthread_mutex_unlock(&lock);
      if (address != NULL) REAL(getpeername)(newest, address, length);
      return newest;
    }
    pthread_mutex_unlock(&lock);
  }
  if (fault("accept-reports-no-length") && length != NULL) {
    socklen_t ignored = *length;
    return four ? REAL(accept4)(fd, address, &ignored, flags) : REAL(accept)(fd, address, &ignored);
  }
  if (fault("accept4-forgets-cloexec")) flags &= ~SOCK_CLOEXEC;
  if (fault("accept4-forgets-nonblock")) flags &= ~SOCK_NONBLOCK;
  const int result = four ? REAL(accept4)(fd, address, length, flags) : REAL(accept)(fd, address, length);
  if (result < 0) {
    if (errno == EAGAIN && fault("accept-empty-is-aborted")) errno = ECONNABORTED;
    if (errno == EMFILE && fault("accept-emfile-loses-the-connection")) {
      /* Makes room with a descriptor that is surely open, takes the connection, and drops it. */
      const int spare = REAL(fcntl)(0, F_GETFD) >= 0 ? 0 : 2;
      REAL(close)(spare);
      const int lost = REAL(accept)(fd, NULL, NULL);
      if (lost >= 0) REAL(close)(lost);
      REAL(open)("/dev/null", O_RDWR);
      errno = EMFILE;
    }
    return result;
  }
  if (fault("accept-newest-first") && fd >= 0 && fd < MAX_FD && result < MAX_FD) {
    /* The others that are waiting are taken now, and given out from the end. */
    struct pollfd more = {fd, POLLIN, 0};
    int newest = result;
    pthread_mutex_lock(&lock);
    while (stashed[fd] < 64 && REAL(poll)(&more, 1, 0) == 1 && (more.revents & POLLIN)) {
      stash[fd][stashed[fd]++] = newest;
      newest = REAL(accept)(fd, NULL, NULL);
      if (newest < 0) {
        newest = stash[fd][--stashed[fd]];
        break;
      }
    }
    pthread_mutex_unlock(&lock);
    if (newest != result && address != NULL) REAL(getpeername)(newest, address, length);
    return newest;
  }
  if (fault("accept-inherits-nonblocking") && is_nonblocking(fd)) REAL(fcntl)(result, F_SETFL, O_NONBLOCK);
  if (fault("accept-names-the-wrong-port") && address != NULL &&
      (address->sa_family == AF_INET || address->sa_family == AF_INET6)) {
    ((struct sockaddr_in*)address)->sin_port ^= htons(1);
  }
  if (fault("accept-forgets-the-user-timeout")) {
    const int off = 0;
    REAL(setsockopt)(result, IPPROTO_TCP, TCP_USER_TIMEOUT, &off, sizeof off);
  }
  return result;
}
int accept(int fd, struct sockaddr* address, socklen_t* length) { return accept_wrapped(fd, address, length, 0, 0); }
int accept4(int fd, struct sockaddr* address, socklen_t* length, int flags) {
  return accept_wrapped(fd, address, length, flags, 1);
}

/* ---- connect */
int connect(int fd, const struct sockaddr* address, socklen_t length) {
  if (fault("connect-blocks-though-nonblocking") && is_nonblocking(fd) && address != NULL && address->sa_family == AF_INET) {
    const int flags = REAL(fcntl)(fd, F_GETFL);
    REAL(fcntl)(fd, F_SETFL, flags & ~O_NONBLOCK);
    const int result = REAL(connect)(fd, address, length);
    const int saved = errno;
    REAL(fcntl)(fd, F_SETFL, flags);
    errno = saved;
    return result;
  }
  const int result = REAL(connect)(fd, address, length);
  if (result != 0) {
    if (errno == ECONNREFUSED && fault("connect-refused-is-timed-out")) errno = ETIMEDOUT;
    if (errno == EALREADY && fault("connect-pending-is-in-progress")) errno = EINPROGRESS;
    if (errno == EISCONN && fault("connect-twice-succeeds")) return 0;
  }
  return result;
}

/* ---- names */
int getpeername(int fd, struct sockaddr* address, socklen_t* length) {
  const int result = REAL(getpeername)(fd, address, length);
  if (result == 0 && fault("peer-name-has-port-zero") && address != NULL && *length >= 4 && address->sa_family != AF_UNIX) {
    ((struct sockaddr_in*)address)->sin_port = 0;
  }
  return result;
}
int getsockname(int fd, struct sockaddr* address, socklen_t* length) {
  if (fault("local-name-overruns") && address != NULL && *length > 0 && *length < 16) {
    struct sockaddr_storage whole;
    socklen_t size = sizeof whole;
    const int result = REAL(getsockname)(fd, (struct sockaddr*)&whole, &size);
    if (result == 0) memcpy(address, &whole, *length + 1);
    *length = size;
    return result;
  }
  return REAL(getsockname)(fd, address, length);
}

/* ---- options */
static int kept_error[MAX_FD];
int getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  const int result = REAL(getsockopt)(fd, level, name, value, length);
  if (result == 0 && level == SOL_SOCKET && fd >= 0 && fd < MAX_FD) {
    if (name == SO_ERROR && fault("pending-error-is-sticky")) {
      if (*(int*)value != 0) kept_error[fd] = *(int*)value;
      *(int*)value = kept_error[fd];
    }
    if (name == SO_ERROR && fault("pending-error-is-lost")) *(int*)value = 0;
    if (name == SO_ACCEPTCONN && fault("listener-denies-listening")) *(int*)value = 0;
    if ((name == SO_RCVTIMEO && fault("recv-timeout-quarter")) || (name == SO_SNDTIMEO && fault("send-timeout-quarter"))) {
      struct timeval* time = value;
      const long long whole = 4 * (time->tv_sec * 1000000LL + time->tv_usec);
      time->tv_sec = whole / 1000000;
      time->tv_usec = whole % 1000000;
    }
  }
  return result;
}
int setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  if (level == SOL_SOCKET && value != NULL && length == sizeof(struct timeval) &&
      ((name == SO_RCVTIMEO && fault("recv-timeout-quarter")) || (name == SO_SNDTIMEO && fault("send-timeout-quarter")))) {
    struct timeval time = *(const struct timeval*)value;
    const long long quarter = (time.tv_sec * 1000000LL + time.tv_usec) / 4;
    time.tv_sec = quarter / 1000000;
    time.tv_usec = quarter % 1000000;
    return REAL(setsockopt)(fd, level, name, &time, sizeof time);
  }
  if (level == SOL_SOCKET && name == SO_RCVTIMEO && fault("recv-timeout-ignored")) return 0;
  return REAL(setsockopt)(fd, level, name, value, length);
}

/* ---- the end */
int close(int fd) {
  if (fault("linger-zero-sends-fin") && is_socket(fd)) {
    const struct linger off = {0, 0};
    REAL(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
  }
  if (fault("close-leaks-a-descriptor") && is_socket(fd)) REAL(fcntl)(fd, F_DUPFD_CLOEXEC, 200);
  if (fd >= 0 && fd < MAX_FD) {
    kept_error[fd] = 0;
    while (stashed[fd] > 0) REAL(close)(stash[fd][--stashed[fd]]);
  }
  return REAL(close)(fd);
}
int shutdown(int fd, int how) {
  if (fault("shutdown-write-does-nothing") && how == SHUT_WR) return 0;
  if (fault("shutdown-write-ends-reading") && how == SHUT_WR) how = SHUT_RDWR;
  return REAL(shutdown)(fd, how);
}

/* ---- data */
static ssize_t received(int fd, void* buffer, size_t room, int flags, ssize_t result) {
  static unsigned calls;
  (void)room;
  if (result < 0) {
    if (errno == ECONNRESET && fault("reset-looks-like-the-end")) return 0;
    return result;
  }
  if (result == 0) {
    if (room > 0 && is_stream(fd) && fault("the-end-looks-like-a-reset")) {
      errno = ECONNRESET;
      return -1;
    }
    return result;
  }
  if (flags & MSG_PEEK) return result;
  if (result > 2 && ++calls % 3 == 0 && fault("recv-loses-a-byte")) return result - 1;
  if (result > 1 && ++calls % 3 == 0 && fault("recv-swaps-two-bytes")) {
    char* bytes = buffer;
    const char first = bytes[0];
    bytes[0] = bytes[1];
    bytes[1] = first;
  }
  return result;
}
ssize_t recv(int fd, void* buffer, size_t room, int flags) {
  if (fault("peek-takes-the-data")) flags &= ~MSG_PEEK;
  if (fault("wait-all-does-not-wait")) flags &= ~MSG_WAITALL;
  if (fault("dont-wait-waits")) flags &= ~MSG_DONTWAIT;
  ssize_t result = REAL(recv)(fd, buffer, room, flags);
  while (result < 0 && errno == EINTR && fault("recv-swallows-signals")) result = REAL(recv)(fd, buffer, room, flags);
  if (result > 0 && (size_t)result < room && fault("recv-writes-too-far")) ((char*)buffer)[result] = 0;
  return received(fd, buffer, room, flags, result);
}
ssize_t read(int fd, void* buffer, size_t room) {
  const ssize_t result = REAL(read)(fd, buffer, room);
  return is_socket(fd) ? received(fd, buffer, room, 0, result) : result;
}
ssize_t send(int fd, const void* buffer, size_t length, int flags) {
  if (length > 1 && fault("send-counts-one-too-many")) {
    const ssize_t result = REAL(send)(fd, buffer, length - 1, flags);
    return result == (ssize_t)length - 1 ? result + 1 : result;
  }
  if (fault("urgent-byte-is-ordinary")) flags &= ~MSG_OOB;
  const ssize_t result = REAL(send)(fd, buffer, length, flags);
  if (result < 0 && errno == EPIPE && fault("send-after-end-succeeds")) return (ssize_t)length;
  return result;
}

/* ---- readiness */
int poll(struct pollfd* sockets, nfds_t count, int timeout) {
  int result = REAL(poll)(sockets, count, timeout);
  for (nfds_t i = 0; result > 0 && i < count; ++i) {
    short hidden = 0;
    if (fault("poll-misses-hangup")) hidden = POLLHUP;
    if (fault("poll-misses-error")) hidden = POLLERR;
    if (fault("poll-misses-listeners")) {
      int listening = 0;
      socklen_t size = sizeof listening;
      if (REAL(getsockopt)(sockets[i].fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening) hidden = POLLIN;
    }
    if ((sockets[i].revents & hidden) == 0) continue;
    sockets[i].revents &= ~hidden;
    if (sockets[i].revents == 0) --result;
  }
  if (fault("poll-says-writable-when-full")) {
    for (nfds_t i = 0; i < count; ++i) {
      if ((sockets[i].events & POLLOUT) == 0 || (sockets[i].revents & POLLOUT) != 0 || !is_socket(sockets[i].fd)) continue;
      if (sockets[i].revents == 0) ++result;
      sockets[i].revents |= POLLOUT;
    }
  }
  return result;
}
int epoll_ctl(int set, int operation, int fd, struct epoll_event* event) {
  if (event == NULL) return REAL(epoll_ctl)(set, operation, fd, event);
  struct epoll_event changed = *event;
  if (fault("epoll-edge-is-level")) changed.events &= ~(uint32_t)EPOLLET;
  if (fault("epoll-oneshot-fires-again")) changed.events &= ~(uint32_t)EPOLLONESHOT;
  return REAL(epoll_ctl)(set, operation, fd, &changed);
}
