// A model's weights as a named map, into another model and through a file: state_dict, load_state_dict, torch.save.
#include <cstdio>
#include <map>
#include <rapt/io/model_file.hpp>
#include <rapt/rapt.hpp>

using StateDict = std::map<std::string, rapt::Tensor<float>>;

// --8<-- [start:map]
StateDict state_dict(const rapt::Module auto& module) {
  StateDict state;
  rapt::for_each_parameter(module, [&](const std::string& name, const auto& parameter) {
    state.emplace(name, parameter.value());  // a copy of the numbers
  });
  return state;
}

/// Changes nothing unless every parameter has a tensor of its shape.
void load_state_dict(rapt::Module auto& module, const StateDict& state) {
  rapt::for_each_parameter(std::as_const(module), [&](const std::string& name, const auto& parameter) {
    const auto found = state.find(name);
    rapt::require(found != state.end(), "load_state_dict", "missing key: ", name);
    rapt::require<rapt::ShapeError>(found->second.shape() == parameter.shape(), "load_state_dict", name, " has shape ",
                                    found->second.shape(), ", the module's has ", parameter.shape());
  });
  rapt::for_each_parameter(
      module, [&](const std::string& name, auto& parameter) { parameter.mutable_value() = state.at(name); });
}
// --8<-- [end:map]

int main() {
  const rapt::FeedForwardOptions options{.d_model = 8, .d_ff = 32, .dropout = 0};
  rapt::Rng rng(1);
  const rapt::FeedForward<float> trained(options, rng);
  rapt::FeedForward<float> other(options, rng);
  StateDict state = state_dict(trained);
  for (const auto& [name, tensor] : state) std::printf("%-14s %s\n", name.c_str(), to_string(tensor.shape()).c_str());

  const rapt::Variable<float> x(rapt::Tensor<float>(rapt::Shape{3, 8}, 0.5f));
  const auto same = [&] { return trained(x).value().matrix() == other(x).value().matrix(); };
  std::printf("the same before: %s", same() ? "yes" : "no");
  load_state_dict(other, state);
  std::printf(", after: %s\n", same() ? "yes" : "no");
  state.erase("linear2.bias");
  try {
    load_state_dict(other, state);
  } catch (const rapt::Error& error) {
    std::printf("%s\n", error.what());
  }

  // --8<-- [start:file]
  rapt::write_safetensors("trained.safetensors", rapt::parameter_entries(trained));  // torch.save
  rapt::FeedForward<float> loaded(options, rng);
  rapt::load_parameters(loaded, rapt::SafetensorsFile("trained.safetensors"));  // load_state_dict(load_file(...))
  // --8<-- [end:file]
  std::printf("from the file: %s\n", trained(x).value().matrix() == loaded(x).value().matrix() ? "the same" : "other");
}
