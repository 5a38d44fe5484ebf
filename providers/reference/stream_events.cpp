// Which network events are the case at a stream socket.
#include "reference/stream_socket.h"

namespace sockproof::reference {

// Windows Sockets 2, WSAEventSelect function (winsock2.h), Return value.
NetworkState StreamSocket::NetworkStateNow() const {
  NetworkState state;
  if (listener_ != nullptr) {
    // "the service provider will not issue further network event indications" while a deferred request is the first one
    // (Enhanced Functionality at Connect Time, Conditional Acceptance).
    const TcpListener::Request* head = listener_->Head();
    const bool deferred = head != nullptr && deferred_ == head->ends && !head->withdrawn;
    if (head != nullptr && !deferred) state.bits |= SP_FD_ACCEPT;
    return state;
  }
  if (attempted_ && !Handshaking()) {
    state.bits |= SP_FD_CONNECT;
    state.connect_error = connect_error_;
  }
  if (connection_ == nullptr || !connection_->Established() || connect_error_ != SP_OK) return state;
  if (connection_->Readable() > 0) state.bits |= SP_FD_READ;
  if (connection_->HasUrgent() && !options_.On(SP_SO_OOBINLINE)) state.bits |= SP_FD_OOB;
  if (close_error_ != SP_OK) {
    state.bits |= SP_FD_CLOSE;
    state.close_error = close_error_;
    return state;
  }
  // The end comes after all data: "FD_CLOSE ... only after all the data is read from a socket".
  if (connection_->PeerFinished() && connection_->Readable() == 0) state.bits |= SP_FD_CLOSE;
  if (!WritingEnded() && Writable()) state.bits |= SP_FD_WRITE;
  return state;
}

}  // namespace sockproof::reference
