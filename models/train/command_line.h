#pragma once

namespace livepeer::train {

/// The program: `argv` names a command and its options. Returns the exit status, after saying on
/// stderr what is wrong.
int run_command(int argc, char **argv);

}  // namespace livepeer::train
