// The names of AF_UNIX sockets. A path is a file that bind makes, an ordinary one: what is in the file system decides whether it
// can be reached (it may be removed, forbidden, or lie behind a symbolic link), and here stands whose it is. Abstract names live
// here alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sockproof/provider.h"

namespace sockproof::reference {

class LocalSocket;

class LocalNames {
 public:
  // SP_EADDRINUSE and what the file system says.
  int32_t Bind(const std::string& name, LocalSocket* socket);
  // A name that nobody has: five hexadecimal digits behind the NUL (unix(7), autobind).
  std::string BindAny(LocalSocket* socket, uint64_t start);
  void Forget(LocalSocket* socket);  // the file of a path stays
  // Null with SP_OK never: SP_ENOENT, SP_ECONNREFUSED for a file that is nobody's, SP_EACCES, SP_ELOOP, SP_ENOTDIR.
  int32_t Find(const std::string& name, LocalSocket** socket) const;

 private:
  // As they were given to bind.
  std::map<std::string, LocalSocket*> names_;
};

}  // namespace sockproof::reference
