#include "fake/fake_engine.h"
#include "runtime/engine_library.h"

extern "C" void LIVEPEER_MAKE_MODEL_LOADER(const livepeer::EngineHost &host,
                                           std::shared_ptr<livepeer::ModelLoader> *loader) {
  host.log(livepeer::LogLevel::info, "made");
  *loader = std::make_shared<livepeer::FakeLoader>(std::make_shared<livepeer::FakeEngine>());
}
