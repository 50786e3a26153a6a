#include "metrics.h"

#include <sstream>

namespace upscale_server {
namespace {

template <class Value>
void write(std::ostream &out, const char *name, const char *type, const char *help, Value value) {
  out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n'
      << name << ' ' << value << '\n';
}

}  // namespace

std::string Metrics::text() const {
  std::ostringstream out;
  out.precision(15);  // seconds add up
  out << "# HELP version Version of the server.\n# TYPE version gauge\n"
      << "version{app=\"livepeer-upscale-server\",version=\"" << PROJECT_VERSION << "\"} 1\n";
  out << "# HELP upscale_requests_total POST requests answered.\n"
      << "# TYPE upscale_requests_total counter\n";
  for (const auto &[status, number] : post_requests)
    out << "upscale_requests_total{status=\"" << status << "\"} " << number << '\n';
  write(out, "upscale_cancelled_total", "counter", "Pictures given up: client gone or time over.",
        cancelled);
  write(out, "upscale_pictures_total", "counter", "Pictures made.", pictures);
  write(out, "upscale_pictures_seconds_total", "counter", "Time spent on the pictures made.",
        seconds);
  write(out, "upscale_input_pixels_total", "counter", "Pixels of the pictures sent.", input_pixels);
  write(out, "upscale_connections_shed_total", "counter",
        "Connections closed because there were too many.", connections_shed);
  write(out, "upscale_uploading", "gauge", "Requests whose body is on its way.", uploading);
  write(out, "upscale_running", "gauge", "Pictures being worked on.", running);
  write(out, "upscale_waiting", "gauge", "Pictures that wait.", waiting);
  return out.str();
}

}  // namespace upscale_server
