#include <algorithm>

#include "reference/stack.h"
#include "reference/stream_socket.h"

namespace sockproof::reference {

int64_t StreamSocket::EndOf(int64_t limit) const { return limit < 0 ? kNever : stack_->scheduler().Now() + limit; }

int64_t StreamSocket::Left(int64_t end) const {
  return end == kNever ? -1 : std::max<int64_t>(end - stack_->scheduler().Now(), 0);
}

int32_t StreamSocket::BrokenPipe(uint32_t flags) {
  if (const int32_t error = TakeError(); error != SP_OK) return error;
  const Profile& profile = stack_->profile();
  if (ended_by_ != SP_OK) return ended_by_;
  const bool never = (connection_ == nullptr || (profile.reset_stays && !connection_->Established())) && !write_shut_;
  const int32_t error = never ? profile.send_unconnected : profile.send_after_shutdown;
  if (error == SP_EPIPE && profile.pipe_signals && (flags & SP_MSG_NOSIGNAL) == 0) stack_->RaisePipe();
  return error;
}

// Waits until a connection stands, if one is being made.
int32_t StreamSocket::ReadyToSend(bool nonblocking, int64_t end) {
  const auto settled = [this] { return !Handshaking(); };
  const int32_t error = Await(settled, nonblocking, Left(end), stack_->profile().send_timeout, "send, until connected");
  if (error != SP_OK) return error;
  return SP_OK;
}

int32_t StreamSocket::Send(SendRequest* request) {
  const int64_t end = EndOf(SendLimit());
  if (const int32_t error = ReadyToSend(request->nonblocking, end); error != SP_OK) return error;
  if (connection_ == nullptr || PendingError() != SP_OK || WritingEnded()) return BrokenPipe(request->flags);
  if (request->bytes.empty()) return request->faults ? SP_EFAULT : SP_OK;
  const bool urgent = (request->flags & SP_MSG_OOB) != 0;
  const bool push = (request->flags & SP_MSG_MORE) == 0;
  while (request->taken < request->bytes.size()) {
    const uint8_t* data = request->bytes.data() + request->taken;
    const std::size_t rest = request->bytes.size() - request->taken;
    const bool last = rest <= connection_->Room();
    const std::size_t wrote = urgent && last ? connection_->WriteUrgent(data, rest) : connection_->Write(data, rest, push);
    request->taken += wrote;
    if (request->taken == request->bytes.size()) break;
    if (wrote != 0) continue;
    const auto room = [this] { return PendingError() != SP_OK || WritingEnded() || (connection_->Room() > 0 && Writable()); };
    const int32_t error =
        Await(room, request->nonblocking, Left(end), stack_->profile().send_timeout, "send, until there is room");
    if (error != SP_OK) return request->taken > 0 ? SP_OK : error;
    if (connection_ == nullptr || PendingError() != SP_OK || WritingEnded()) {
      return request->taken > 0 ? SP_OK : BrokenPipe(request->flags);
    }
  }
  return request->taken == 0 && request->faults ? SP_EFAULT : SP_OK;
}

int32_t StreamSocket::RecvUrgent(RecvRequest* request) {
  if (connection_ == nullptr) return SP_ENOTCONN;
  if (options_.On(SP_SO_OOBINLINE)) return SP_EINVAL;
  const bool peek = (request->flags & SP_MSG_PEEK) != 0;
  if (!connection_->HasUrgent()) {
    if (!connection_->UrgentAnnounced()) return SP_EINVAL;
    return ReadingEnded() ? SP_OK : SP_EAGAIN;  // the byte itself is still under way
  }
  if (request->room == 0 && request->faults) return SP_EFAULT;
  request->flags_out |= SP_MSG_OOB;
  if (request->room == 0) {
    request->flags_out |= SP_MSG_TRUNC;
    return SP_OK;
  }
  const std::optional<uint8_t> byte = connection_->TakeUrgent(peek);
  if (byte.has_value()) request->bytes.push_back(*byte);
  request->full_length = request->bytes.size();
  return SP_OK;
}

int32_t StreamSocket::Recv(RecvRequest* request) {
  if (listener_ != nullptr) return SP_ENOTCONN;
  if ((request->flags & SP_MSG_OOB) != 0) return RecvUrgent(request);
  const Profile& profile = stack_->profile();
  const int64_t end = EndOf(ReceiveLimit());
  const bool peek = (request->flags & SP_MSG_PEEK) != 0;
  const bool whole = (request->flags & SP_MSG_WAITALL) != 0;
  const bool discard = (request->flags & SP_MSG_TRUNC) != 0;
  const auto least = static_cast<std::size_t>(std::max<int64_t>(options_.Integer(SP_SO_RCVLOWAT), 1));
  const std::size_t target = std::max<std::size_t>(whole ? request->room : std::min(least, request->room), 1);
  std::size_t got = 0;
  if (read_shut_ && profile.recv_after_shutdown != SP_OK) return profile.recv_after_shutdown;
  for (;;) {
    if (connection_ != nullptr && connection_->Readable() > (peek ? got : 0)) {
      if (got > 0 && connection_->AtMark()) break;  // data from both sides of the mark never come together
      if (request->room == 0) return request->faults ? SP_EFAULT : SP_OK;
      request->bytes.resize(request->room);
      uint8_t* out = request->bytes.data() + got;
      const std::size_t room = request->room - got;
      const std::size_t took = peek ? connection_->Peek(out, room, got) : connection_->Read(out, room);
      got += took;
      if (got == request->room) break;
      if (took > 0) continue;
    }
    if (got >= target) break;
    // What came before urgent data is not held back for what comes behind it.
    if (got > 0 && connection_ != nullptr && connection_->HasUrgent()) break;
    const bool stopped = PendingError() != SP_OK || ReadingEnded() || TcpState() == SP_TCP_CLOSED;
    if (got > 0 && stopped) break;
    if (got == 0 && stopped) {
      request->bytes.clear();
      if (const int32_t error = TakeError(); error != SP_OK) return error;
      if (ReadingEnded()) return SP_OK;
      return SP_ENOTCONN;
    }
    const auto more = [&] {
      const std::size_t there = connection_ != nullptr ? connection_->Readable() : 0;
      return there >= (peek ? target : target - got) || PendingError() != SP_OK || ReadingEnded() || listener_ != nullptr ||
             TcpState() == SP_TCP_CLOSED || (connection_ != nullptr && connection_->HasUrgent() && got > 0);
    };
    const int32_t error = Await(more, request->nonblocking, Left(end), profile.receive_timeout, "recv");
    if (error != SP_OK) {
      // What came meanwhile, though less than was asked for, is better than nothing.
      if (connection_ != nullptr && connection_->Readable() > (peek ? got : 0) && request->room > got && error != SP_EBADF) {
        request->bytes.resize(request->room);
        uint8_t* out = request->bytes.data() + got;
        got += peek ? connection_->Peek(out, request->room - got, got) : connection_->Read(out, request->room - got);
      }
      if (got > 0) break;
      request->bytes.clear();
      return error;
    }
  }
  request->bytes.resize(got);
  request->full_length = got;
  if (discard) request->bytes.clear();
  return SP_OK;
}

}  // namespace sockproof::reference
