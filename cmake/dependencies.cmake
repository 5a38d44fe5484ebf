# The libraries that the project uses: those of the system, or, in a cross-build, the sources and headers that the system has of them.
find_package(Threads REQUIRED)

# The catalogue's compiler runs while the battery is built. Where that is built for another kind of machine, the compiler comes from a
# build for this one: the one that is named here, or one that is made inside the cross-build.
set(SOCKPROOF_HOST_TOOLS "" CACHE PATH "A build folder for this machine, where this build is for another one")
if(SOCKPROOF_HOST_TOOLS OR CMAKE_CROSSCOMPILING)
  set(host_tools ${SOCKPROOF_HOST_TOOLS})
  add_executable(catalogue-compiler IMPORTED GLOBAL)
  if(NOT host_tools)
    set(host_tools ${CMAKE_BINARY_DIR}/host)
    include(ExternalProject)
    ExternalProject_Add(host-tools
      SOURCE_DIR ${CMAKE_SOURCE_DIR}
      BINARY_DIR ${host_tools}
      CMAKE_ARGS -DCMAKE_BUILD_TYPE=Release -DSOCKPROOF_TESTS=OFF
      BUILD_COMMAND ${CMAKE_COMMAND} --build ${host_tools} --target catalogue-compiler
      BUILD_BYPRODUCTS ${host_tools}/catalogue-compiler
      BUILD_ALWAYS ON
      INSTALL_COMMAND "")
    add_dependencies(catalogue-compiler host-tools)
  endif()
  if(CMAKE_HOST_WIN32)
    set(host_suffix .exe)
  endif()
  set_target_properties(catalogue-compiler PROPERTIES
    IMPORTED_LOCATION ${host_tools}/catalogue-compiler${host_suffix})
endif()

if(NOT CMAKE_CROSSCOMPILING)
  find_package(fmt REQUIRED)
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(GTest REQUIRED)
  find_path(TOMLPLUSPLUS_INCLUDE toml++/toml.h REQUIRED)
  return()
endif()

# A library of headers serves every machine, but /usr/include as a whole must not come before the headers of the other system. So
# there is a folder with links to the libraries' own folders and nothing else.
set(SOCKPROOF_HEADERS ${CMAKE_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${SOCKPROOF_HEADERS})
function(sockproof_headers_of name header)
  find_path(SOCKPROOF_INCLUDE_OF_${name} ${header} REQUIRED NO_CMAKE_FIND_ROOT_PATH PATHS /usr/include /usr/local/include)
  get_filename_component(folder ${header} DIRECTORY)
  file(CREATE_LINK ${SOCKPROOF_INCLUDE_OF_${name}}/${folder} ${SOCKPROOF_HEADERS}/${folder} SYMBOLIC)
endfunction()
function(sockproof_header_library target)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} SYSTEM INTERFACE ${SOCKPROOF_HEADERS})
endfunction()

sockproof_headers_of(fmt fmt/format.h)
sockproof_headers_of(CLI11 CLI/CLI.hpp)
sockproof_headers_of(nlohmann_json nlohmann/json.hpp)
sockproof_headers_of(TOMLPLUSPLUS toml++/toml.h)
set(TOMLPLUSPLUS_INCLUDE ${SOCKPROOF_HEADERS})
file(STRINGS ${SOCKPROOF_HEADERS}/fmt/core.h fmt_version REGEX "define FMT_VERSION ")
if(fmt_version MATCHES " 9[0-9][0-9][0-9][0-9]$")
  add_library(sockproof-fmt STATIC ${CMAKE_CURRENT_LIST_DIR}/fmt.cpp)
  target_include_directories(sockproof-fmt SYSTEM PUBLIC ${SOCKPROOF_HEADERS})
  add_library(fmt::fmt ALIAS sockproof-fmt)
else()
  sockproof_header_library(fmt::fmt)
  target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY=1)
endif()
sockproof_header_library(fmt::fmt-header-only)
target_compile_definitions(fmt::fmt-header-only INTERFACE FMT_HEADER_ONLY=1)
sockproof_header_library(CLI11::CLI11)
sockproof_header_library(nlohmann_json::nlohmann_json)

find_path(GOOGLETEST_SOURCE googletest/CMakeLists.txt REQUIRED NO_CMAKE_FIND_ROOT_PATH PATHS /usr/src/googletest)
set(BUILD_GMOCK OFF CACHE BOOL "" FORCE)
set(INSTALL_GTEST OFF CACHE BOOL "" FORCE)
add_subdirectory(${GOOGLETEST_SOURCE} ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
if(NOT TARGET GTest::gtest)
  add_library(GTest::gtest ALIAS gtest)
  add_library(GTest::gtest_main ALIAS gtest_main)
endif()
