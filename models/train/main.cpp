#include "train/command_line.h"

int main(int argc, char **argv) { return livepeer::train::run_command(argc, argv); }
