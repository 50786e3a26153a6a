extern "C" void livepeer_make_model_loader_0() {}
