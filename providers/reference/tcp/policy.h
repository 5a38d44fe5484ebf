// What can be set on TCP: for the whole stack (TcpPolicy), and on each connection (TcpSettings).
// Times are nanoseconds on the scheduler's clock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "reference/scheduler.h"

namespace sockproof::reference {

// What differs between the documents that a stack answers to, as far as TCP is concerned. Data, read where it matters.
struct TcpPolicy {
  // A request that finds the queue of established connections full: its SYN (or last ACK) is dropped, and the client's
  // retransmission may get in later (Linux); or it is refused with a RST (Winsock).
  enum class Overflow { kDrop, kReset } overflow = Overflow::kDrop;
  int syn_retries = 6;      // of a connect; then ETIMEDOUT
  int syn_ack_retries = 5;  // of a half-open connection; then it is gone
  int data_retries = 15;    // then ETIMEDOUT
  int orphan_retries = 8;   // of a connection whose socket is closed
  int64_t rto_initial = kSecond;
  int64_t rto_minimum = 200 * kMillisecond;
  int64_t rto_maximum = 120 * kSecond;
  int64_t fin_wait_2 = 60 * kSecond;  // of a connection whose socket is closed
  int64_t time_wait = 60 * kSecond;
  int64_t delayed_ack = 40 * kMillisecond;
  int half_open_maximum = 128;        // SYN queue of one listener
  bool syn_cookies = true;            // beyond that: RFC 4987 3.6; else the SYN is dropped
  bool reset_on_unread_close = true;  // RFC 2525 2.17, RFC 9293 3.10.4: data unread at close: RST
  bool challenge_acks = true;         // RFC 5961
  // Data that arrives after ShutdownRead: can be read all the same (Linux); is acknowledged and thrown away; or resets the
  // connection (Winsock). Where the other direction is shut as well it is always answered with RST (RFC 1122 4.2.2.13).
  enum class AfterShutdownRead { kDeliver, kDiscard, kReset } after_shutdown_read = AfterShutdownRead::kDeliver;
  bool time_wait_ignores_reset = false;  // RFC 1337: TIME-WAIT lasts its time whatever RST comes
  // A connect that is given up before it was answered sends RST, so that a listener that has not decided hears of it. RFC 9293
  // 3.10.4 only deletes the block; the protocol with connect data always tells.
  bool reset_abandoned_connect = false;
};

// Adjustable on each connection; a listener's are copied into what it accepts.
struct TcpSettings {
  std::size_t send_buffer = 2'626'560, receive_buffer = 131'072;
  bool no_delay = false, cork = false;
  bool quick_ack = true;  // every segment with data is acknowledged at once; else every second one, or after the policy's delay
  bool keep_alive = false;
  int64_t keep_idle = 7200 * kSecond, keep_interval = 75 * kSecond;
  int keep_count = 9;
  int64_t user_timeout = 0;      // 0: as the retries say
  int64_t linger2 = 0;           // 0: the policy's fin_wait_2; negative: no FIN-WAIT-2 without a socket at all
  int syn_retries = 0;           // 0: the policy's
  uint16_t maximum_segment = 0;  // 0: what the route allows
  std::size_t window_clamp = 0;
  bool urgent_inline = false;
  uint8_t ttl = 64, tos = 0;
  int64_t defer_accept = 0;  // listener: a connection without data is held back that long (TCP_DEFER_ACCEPT)
};

}  // namespace sockproof::reference
