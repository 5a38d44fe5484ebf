#include <exception>
#include <iostream>

#include "failure.h"
#include "options.h"
#include "run.h"

int main(int argc, char** argv) {
  using namespace sockproof::runner;
  try {
    const auto options = read_options(argc, argv);
    return options ? run(*options) : static_cast<int>(kAsExpected);
  } catch (const Failure& failure) {
    std::cerr << "sockproof-runner: " << failure.what() << '\n';
  } catch (const std::exception& error) {
    std::cerr << "sockproof-runner: internal error: " << error.what() << '\n';
  }
  return kHarnessFailed;
}
