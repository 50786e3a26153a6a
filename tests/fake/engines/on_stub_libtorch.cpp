int stub_libtorch();
int need_stub_libtorch() { return stub_libtorch(); }
