// Stands for a libtorch in all that is looked at: its file name.
int stub_libtorch() { return 0; }
