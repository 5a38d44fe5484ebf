/* @NAME@ as a provider of sockproof, in C. Everything is 'not supported' until a case below does something else; from top to
 * bottom is a good order. providers/include/sockproof/provider.h is the whole contract, providers/minimal/minimal.c a complete
 * example.
 *
 *     ./sockproof run @NAME@.toml      compiles this, and says what is right, wrong and missing, area by area
 */
#include <stddef.h>
#include <string.h>

#include "sockproof/provider.h"

/* Errors: your codes to neutral names. Your own code stays visible to people, in native. */
static void failed(struct sp_result* result, int code) {
  result->value = -1;
  result->native = code;
  switch (code) {
    /* case MYSTACK_REFUSED: result->error = SP_ECONNREFUSED; return; */
    default:
      result->error = SP_UNKNOWN_ERROR;
  }
}

/* A socket that was made; the number is yours. */
static void made(struct sp_result* result, int64_t number) {
  result->handle.kind = SP_HANDLE_SOCKET;
  result->handle.value = number;
}

/* An address that a call gave, for who asked for one (name->kind is SP_POINTER_VALID). `length` is that of your own form. */
static void decoded(struct sp_address_out* out, const uint8_t ip[4], uint16_t port, int32_t length) {
  out->reported = length;
  memset(&out->address, 0, sizeof out->address);
  out->address.family = SP_INET;
  out->address.port = port;
  memcpy(out->address.bytes, ip, 4);
  out->decoded = 1;
}

/* Called by many threads at once; a call that blocks, blocks here. */
static void provider_call(void* self, struct sp_call* call, struct sp_result* result) {
  (void)self;
  /* So that the compiler does not complain while nobody calls them. */
  (void)failed;
  (void)made;
  (void)decoded;
  switch (call->op) {
    case SP_OP_SOCKET:       /* call->u.socket: family, type, protocol. made(result, number) */
    case SP_OP_BIND:         /* call->u.bind.address: kind must be SP_POINTER_VALID; .address.bytes, .address.port */
    case SP_OP_LISTEN:       /* call->u.listen.backlog */
    case SP_OP_LOCAL_NAME:   /* decoded(&call->u.local_name.name, ...) */
    case SP_OP_CONNECT:      /* call->u.connect.address */
    case SP_OP_ACCEPT:       /* made(result, number); decoded(&call->u.accept.peer, ...) */
    case SP_OP_SEND:         /* call->u.send.buffers[0]: data, length. result->value: bytes taken */
    case SP_OP_RECV:         /* call->u.recv.buffers[0]. result->value: bytes delivered, 0 at the end of the stream */
    case SP_OP_SHUTDOWN:     /* call->u.shutdown.how: SP_SHUT_RD, SP_SHUT_WR, SP_SHUT_RDWR */
    case SP_OP_CLOSE:        /* call->handle.value is the number of made(); so it is in all of the above */
    case SP_OP_SET_MODE:     /* call->u.set_mode: set, clear, of SP_NONBLOCKING */
    case SP_OP_GET_OPTION:   /* SP_SO_ERROR first: the pending error, as an enum sp_error, in call->u.get_option.integer */
    case SP_OP_WATCH_CREATE: /* SP_POLL, and the five operations of watchers: most of the rest stands on them */
    default:
      result->error = SP_NOT_SUPPORTED;
  }
}

static int32_t provider_open(const char* argument, void** self, const char** why) {
  (void)argument;
  (void)why;
  *self = NULL; /* start your stack here */
  return SP_OK;
}

static void provider_close(void* self) { (void)self; }

/* What it can do beyond plain calls: SP_CAP_INET6, SP_CAP_POLL, ... Say why something is missing: people read it. */
static int32_t provider_capability(void* self, int32_t capability, const char** why) {
  (void)self;
  if (capability == SP_CAP_INET || capability == SP_CAP_THREADS) return SP_OK;
  *why = "not written yet";
  return SP_NOT_SUPPORTED;
}

const struct sp_provider* sockproof_provider(void) {
  static const struct sp_provider provider = {
      .size = sizeof provider,
      .version = SP_API_VERSION,
      .name = "@NAME@",
      .text = "@NAME@",
      .open = provider_open,
      .close = provider_close,
      .capability = provider_capability,
      .call = provider_call,
  };
  return &provider;
}
