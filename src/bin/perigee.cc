// perigee: the command line. All of it is in src/cli.
#include "cli/cli.h"

int main(int argc, char** argv) {
  return perigee::cli::main(argc, argv);
}
