# Cross-build for 64-bit Windows with MinGW-w64. The variant with POSIX threads: the other one has no std::thread.
set(SOCKPROOF_MINGW x86_64-w64-mingw32)
include(${CMAKE_CURRENT_LIST_DIR}/mingw.cmake)
