// The `perigee` command: parses its arguments and runs one command over the public API.
#pragma once

namespace perigee::cli {

// The whole program; returns its exit code (base/error.h's table).
int main(int argc, char** argv);

}  // namespace perigee::cli
