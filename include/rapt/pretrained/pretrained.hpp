/// \file
/// Models in Hugging Face folders: config.json and safetensors, in one file or several. A program includes the header
/// of the model that it loads, which says what the model is called there (`PretrainedFormat`).
///
/// ```cpp
/// #include "rapt/pretrained/gpt.hpp"
///
/// auto gpt = rapt::from_pretrained<rapt::Gpt<float>>("gpt2");  // a folder with config.json and model.safetensors
/// rapt::save_pretrained("mine", gpt);                          // which transformers loads
/// ```
#pragma once

#include <algorithm>
#include <functional>

#include "rapt/io/json.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/pretrained_config.hpp"
#include "rapt/pretrained/pretrained_format.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A folder opened for reading: its configuration, and its tensors whatever files they are in.
class PretrainedFolder {
 public:
  /// Throws IoError that names the file for a malformed config.json, index or safetensors file; where one is missing,
  /// the message says what the folder has instead and what would be right.
  explicit PretrainedFolder(const std::filesystem::path& path) : path_(path) {
    const detail::FolderContents contents(path, kWhere, kWanted);
    const bool is_whole = contents.has("model.safetensors"), has_config = contents.has("config.json");
    const std::filesystem::path index = path / "model.safetensors.index.json";
    if (!is_whole && !contents.has(index.filename().string())) {
      detail::refuse_without_weights(contents,
                                     has_config ? "no model.safetensors" : "no config.json and model.safetensors");
    }
    if (!has_config) contents.refuse_without("no config.json");
    config_ = detail::read_json_object(path / "config.json", kWhere);
    if (contents.has("generation_config.json")) {
      generation_config_ = detail::read_json_object(generation_config_path(), kWhere);
    }
    if (is_whole) {
      add_file("model.safetensors");
    } else {
      const nlohmann::json json = detail::read_json_object(index, kWhere);
      const auto map = json.find("weight_map");
      require<IoError>(map != json.end() && map->is_object(), kWhere, index.string(), ": has no \"weight_map\"");
      std::set<std::string> files;
      for (const auto& [name, file] : map->items()) {
        require<IoError>(file.is_string() && is_plain_name(file.get<std::string>()), kWhere, index.string(), ": ",
                         detail::quote_name(name), " must be in a file of this folder: ", detail::describe(file));
        files.insert(file.get<std::string>());
      }
      for (const std::string& file : files) add_file(file);
      for (const auto& [name, file] : map->items()) {
        require<IoError>(contains(name), kWhere, index.string(), ": ", detail::quote_name(name), " is not in ",
                         detail::quote_name(file.get<std::string>()));
      }
    }
  }

  [[nodiscard]] const nlohmann::json& config() const { return config_; }
  [[nodiscard]] std::string config_path() const { return (path_ / "config.json").string(); }
  /// What generation_config.json holds; nothing if there is none.
  [[nodiscard]] const std::optional<nlohmann::json>& generation_config() const { return generation_config_; }
  [[nodiscard]] std::string generation_config_path() const { return (path_ / "generation_config.json").string(); }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] bool contains(std::string_view name) const { return file_of_.find(name) != file_of_.end(); }
  /// Names of all tensors, sorted.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, file] : file_of_) names.push_back(name);
    return names;
  }
  /// What all tensors together can fill.
  [[nodiscard]] const detail::StoredSizes& sizes() const { return sizes_; }
  /// The file that has a tensor which the folder `contains`.
  [[nodiscard]] const SafetensorsFile& file_of(std::string_view name) const {
    return files_[file_of_.find(name)->second];
  }

 private:
  static constexpr std::string_view kWhere = "pretrained";
  static constexpr std::string_view kWanted = "config.json and model.safetensors";

  [[nodiscard]] static bool is_plain_name(const std::string& name) {
    return !name.empty() && std::filesystem::path(name).filename().string() == name;
  }

  void add_file(const std::string& name) {
    files_.emplace_back(path_ / name);
    sizes_.add(files_.back());
    for (const std::string& tensor : files_.back().names()) {
      const bool is_new = file_of_.emplace(tensor, files_.size() - 1).second;
      require<IoError>(is_new, kWhere, files_.back().path(), ": ", detail::quote_name(tensor),
                       " is in another file of the folder, too");
    }
  }

  std::filesystem::path path_;
  nlohmann::json config_;
  std::optional<nlohmann::json> generation_config_;
  std::vector<SafetensorsFile> files_;
  detail::StoredSizes sizes_{.holder = "folder"};
  std::map<std::string, std::size_t, std::less<>> file_of_;
};

/// What the matrices of a loaded model are kept in.
enum class LoadedWeights {
  computed,  ///< the type that the model computes with
  stored,    ///< F16 or BF16 where the folder has them, in the mapped file itself unless it arranges them otherwise
  int8,      ///< as `quantize_weights` keeps them
  int4
};

/// How `from_pretrained` loads a model.
struct PretrainedOptions {
  /// Anything but `computed` is for float32 models that serve, or whose matrices are frozen while adapters are trained:
  /// see `drop_unpacked_weights` for what they can no longer do. Never more than one matrix is held in float32.
  LoadedWeights weights = LoadedWeights::computed;
};

namespace detail {

/// The shape without leading ones: [1, V] is as good as [V].
[[nodiscard]] inline Shape without_leading_ones(const Shape& shape) {
  Shape result;
  for (Index i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1 || result.rank() > 0 || i + 1 == shape.rank()) result.push_back(shape[i]);
  }
  return result;
}

/// Transposes `from` [cols, rows] into `to` [rows, cols], in squares that stay in the cache.
template <class T>
void transpose_into(TensorView<const T> from, TensorView<T> to) {
  constexpr Index kSide = 32;
  parallel_for(to.rows(), kSide, [&](Index begin, Index end) {
    for (Index left = 0; left < to.cols(); left += kSide) {
      for (Index i = begin; i < end; ++i) {
        for (Index j = left; j < std::min(left + kSide, to.cols()); ++j) to.row(i)[j] = from.row(j)[i];
      }
    }
  });
}

/// The model's settings. Throws IoError for another model's, or settings that the model does not have.
template <class Config>
[[nodiscard]] Config config_of(const PretrainedFolder& folder) {
  auto config = config_from_json<Config>(folder.config(), folder.config_path());
  if (const auto& own = folder.generation_config()) {
    read_generation_keys(config, *own, folder.generation_config_path());
  } else {  // config.json stands for it
    read_generation_keys(config, folder.config(), folder.config_path(), absent_config_tokens<Config>());
  }
  detect_heads(config, [&](std::string_view name) { return folder.contains(name); });
  validate_config(config, folder.config_path());
  return config;
}

/// Fills a model from a folder.
template <ConfiguredModel M>
class PretrainedLoader {
 public:
  using T = typename M::ScalarType;
  using Format = PretrainedFormat<typename M::Config>;

  PretrainedLoader(M& model, const PretrainedFolder& folder, const PretrainedOptions& options)
      : model_(model), folder_(folder), options_(options), table_(Format::stored_names(model.config())) {
    require(options.weights == LoadedWeights::computed || std::is_same_v<T, float>, kWhere,
            "only float32 models keep their weights in 16 bits or less: ", folder.path());
    // The folder of a bare model has its names without the prefix that a model with a head puts before them.
    const std::string_view prefix = base_prefix_of(model.config());
    const std::vector<std::string> names = folder.names();
    const bool has_prefix =
        std::any_of(names.begin(), names.end(), [&](const auto& n) { return n.starts_with(prefix); });
    if (!has_prefix) prefix_ = prefix;
  }

  /// Nothing is changed unless everything fits.
  void load() {
    check();
    for_each_parameter(model_, [&](const std::string& name, Parameter<T>& parameter) {
      if constexpr (std::is_same_v<T, float>) {
        if (parameter.shape().rank() == 2 && fill_packed(name, parameter)) return;
      }
      fill(name, parameter);
    });
    release_unused_memory();  // what the tensors were read into
  }

 private:
  static constexpr std::string_view kWhere = "pretrained";

  [[nodiscard]] std::vector<StoredPart> parts_of(const std::string& name, Index rows) const {
    std::vector<StoredPart> parts = stored_parts(table_, name, rows);
    const auto cut = [&](std::string& stored) {
      if (!prefix_.empty() && stored.starts_with(prefix_)) stored.erase(0, prefix_.size());
    };
    for (StoredPart& part : parts) {
      cut(part.name);
      for (std::string& copy : part.copies) {
        cut(copy);
        if (!folder_.contains(part.name) && folder_.contains(copy)) part.name.swap(copy);
      }
    }
    return parts;
  }

  /// What the file must say of a part.
  [[nodiscard]] static Shape stored_shape(const Parameter<T>& parameter, const StoredPart& part) {
    Shape shape = parameter.shape();
    if (shape.rank() == 1) return Shape{part.rows};
    if (part.rows != shape.rows()) shape = Shape{part.rows, shape.cols()};
    return part.transposed ? Shape{shape.cols(), shape.rows()} : shape;
  }
  [[nodiscard]] static Index rows_of(const Parameter<T>& parameter) {
    return parameter.shape().rank() == 1 ? parameter.size() : parameter.rows();
  }

  /// True for a tensor that folders of such models may have although it is no parameter.
  [[nodiscard]] bool is_surplus(const std::string& name) const {
    if constexpr (requires { Format::is_surplus(model_.config(), name); }) {
      return Format::is_surplus(model_.config(), name);
    } else {
      return false;
    }
  }

  void check() const {
    std::vector<std::string> missing, surplus;
    std::set<std::string, std::less<>> used;
    for_each_parameter(std::as_const(model_), [&](const std::string& name, const Parameter<T>& parameter) {
      for (const StoredPart& part : parts_of(name, rows_of(parameter))) {
        used.insert(part.name);
        used.insert(part.copies.begin(), part.copies.end());
        if (!folder_.contains(part.name)) {
          missing.push_back(part.name);
          continue;
        }
        const SafetensorsFile& file = folder_.file_of(part.name);
        file.require_readable(part.name);
        const Shape stored = file.shape(part.name), wanted = stored_shape(parameter, part);
        require<ShapeError>(without_leading_ones(stored) == without_leading_ones(wanted), kWhere, file.path(), ": ",
                            quote_name(part.name), " has shape ", stored, ", config.json wants ", wanted);
      }
    });
    require<IoError>(missing.empty(), kWhere, folder_.path(), ": tensors are missing: ", some_of(missing));
    for (const std::string& name : folder_.names()) {
      if (!used.contains(name) && !is_surplus(name)) surplus.push_back(name);
    }
    require<IoError>(surplus.empty(), kWhere, folder_.path(), ": the model has no place for ", some_of(surplus));
  }

  void fill(const std::string& name, Parameter<T>& parameter) {
    const std::vector<StoredPart> parts = parts_of(name, rows_of(parameter));
    Tensor<T>& value = parameter.mutable_value();
    const Shape shape = value.shape();
    const bool is_matrix = shape.rank() > 1;
    if (is_matrix && lies_whole(parts)) {  // the file's own memory, where types are the same
      const SafetensorsFile& file = folder_.file_of(parts[0].name);
      value = file.template borrow<T>(parts[0].name, mapping_of(file));
      value.reshape(shape);
      return;
    }
    // Small or arranged otherwise: read, not mapped, so that pages which nobody needs any more do not stay.
    if (!value.has_elements()) value = Tensor<T>(shape);
    if (is_matrix) return read_parts(parts, value);
    for (const StoredPart& part : parts) {
      const Tensor<T> stored = folder_.file_of(part.name).template read<T>(part.name);
      std::copy_n(stored.data(), part.rows, value.data() + part.first_row);
    }
  }

  /// Fills the packed form of a matrix alone, and returns false if the options or the file's type want its numbers.
  [[nodiscard]] bool fill_packed(const std::string& name, Parameter<T>& parameter) {
    if (options_.weights == LoadedWeights::computed) return false;
    const std::vector<StoredPart> parts = parts_of(name, rows_of(parameter));
    const Shape shape = parameter.shape();
    if (options_.weights != LoadedWeights::stored) {
      Tensor<T> value(shape);
      read_parts(parts, value);
      const bool is_int4 = options_.weights == LoadedWeights::int4;
      set_packed(parameter,
                 kernels::PackedOperand<T>(kernels::transposed(value),
                                           is_int4 ? kernels::PackedFormat::int4 : kernels::PackedFormat::int8));
      return true;
    }
    const Dtype dtype = folder_.file_of(parts[0].name).dtype(parts[0].name);
    if (dtype != Dtype::kF16 && dtype != Dtype::kBF16) return false;
    for (const StoredPart& part : parts) {
      if (folder_.file_of(part.name).dtype(part.name) != dtype) return false;
    }
    const kernels::HalfType type = dtype == Dtype::kF16 ? kernels::HalfType::float16 : kernels::HalfType::bfloat16;
    Tensor<kernels::Half> halves;
    if (lies_whole(parts)) {
      const SafetensorsFile& file = folder_.file_of(parts[0].name);
      halves = file.borrow_bits(parts[0].name, mapping_of(file));
      halves.reshape(shape);
    } else {
      halves = Tensor<kernels::Half>(shape);
      read_parts(parts, halves);
    }
    set_packed(parameter, kernels::PackedOperand<T>(std::move(halves), type));
    return true;
  }

  static void set_packed(Parameter<T>& parameter, kernels::PackedOperand<T> operand) {
    parameter.mutable_value() = Tensor<T>::without_elements(parameter.shape());
    parameter.node()->packed()->keep(std::move(operand));
  }

  /// True for a matrix that is one tensor of the file with its rows as they are.
  [[nodiscard]] static bool lies_whole(const std::vector<StoredPart>& parts) {
    return parts.size() == 1 && !parts[0].transposed;
  }

  /// Reads the parts of a matrix into their rows: numbers, or the bits of numbers of 16 bits.
  template <class Element>
  void read_parts(const std::vector<StoredPart>& parts, Tensor<Element>& matrix) const {
    for (const StoredPart& part : parts) {
      const Tensor<Element> stored = read_elements<Element>(part.name);
      const TensorView<Element> rows = matrix.view().middle_rows(part.first_row, part.rows);
      if (part.transposed) {
        transpose_into<Element>({stored.data(), Shape{matrix.cols(), part.rows}}, rows);
      } else {
        std::copy_n(stored.data(), stored.size(), rows.data());
      }
    }
  }
  template <class Element>
  [[nodiscard]] Tensor<Element> read_elements(const std::string& name) const {
    const SafetensorsFile& file = folder_.file_of(name);
    if constexpr (std::is_same_v<Element, kernels::Half>) {
      return file.read_bits(name);
    } else {
      return file.template read<Element>(name);
    }
  }

  [[nodiscard]] const std::shared_ptr<const void>& mapping_of(const SafetensorsFile& file) {
    std::shared_ptr<const void>& mapping = mappings_[file.path()];
    if (mapping == nullptr) mapping = file.map();
    return mapping;
  }

  M& model_;
  const PretrainedFolder& folder_;
  PretrainedOptions options_;
  StoredNames table_;
  std::string prefix_;  // to be left out of names
  std::map<std::string, std::shared_ptr<const void>> mappings_;
};

/// What stands before names in the table, but not in the file of a model without a head, if it can be without.
template <class Config>
[[nodiscard]] std::string_view prefix_to_leave_out(const Config& config) {
  using Format = PretrainedFormat<Config>;
  if constexpr (requires { Format::has_head(config); }) {
    if (!Format::has_head(config)) return base_prefix_of(config);
  }
  return {};
}

}  // namespace detail

/// What a folder's config.json says the model is: "gpt2", "bert", ... Throws IoError when it says nothing.
[[nodiscard]] inline std::string pretrained_type(const std::filesystem::path& path) {
  const detail::FolderContents contents(path, "pretrained", "config.json");
  if (!contents.has("config.json")) contents.refuse_without("no config.json");
  const nlohmann::json config = detail::read_json_object(path / "config.json", "pretrained");
  const auto type = config.find("model_type");
  require<IoError>(type != config.end() && type->is_string(), "pretrained", (path / "config.json").string(),
                   ": has no \"model_type\"");
  return type->get<std::string>();
}

/// The model that a folder holds. Its weights lie in the mapped file where the file keeps them as rapt does: they are
/// read from the disk when they are used, and not held a second time. A file that is mapped must not be shortened or
/// overwritten in place; replacing it, as all writers here do, is no harm.
///
/// Searches begin and end where generation_config.json says, or config.json where there is no such file.
///
/// Throws IoError or ShapeError that names the file and what is wrong: another architecture, settings that the model
/// does not have, a missing or surplus tensor, a shape that does not fit.
template <ConfiguredModel M>
[[nodiscard]] M from_pretrained(const std::filesystem::path& path, const PretrainedOptions& options = {}) {
  static_assert(
      HasPretrainedFormat<typename M::Config>,
      "from_pretrained: include the header of the model's folders, rapt/pretrained/<model>.hpp: for rapt::Gpt "
      "it is rapt/pretrained/gpt.hpp");
  const PretrainedFolder folder(path);
  const auto config = detail::config_of<typename M::Config>(folder);
  M model = detail::without_weights<M>(config, folder.sizes(), "pretrained", folder.config_path());
  detail::PretrainedLoader<M>(model, folder, options).load();
  return model;
}

/// Writes config.json, model.safetensors and, of a model that generates, generation_config.json into a folder, which is
/// made where there is none, so that Hugging Face's transformers loads them. Each file appears whole or not at all.
///
/// Throws ValueError that names the key for a setting that config.json cannot hold: a number that is not finite, an
/// activation without a name there, settings that no model of Hugging Face has together.
template <ConfiguredModel M>
void save_pretrained(const std::filesystem::path& path, const M& model) {
  static_assert(
      HasPretrainedFormat<typename M::Config>,
      "save_pretrained: include the header of the model's folders, rapt/pretrained/<model>.hpp: for rapt::Gpt "
      "it is rapt/pretrained/gpt.hpp");
  using T = typename M::ScalarType;
  using Config = typename M::Config;
  const std::filesystem::path config_path = path / "config.json", generation_path = path / "generation_config.json";
  std::string generation;  // what cannot be written throws before there is a file
  const std::string config = detail::file_text(detail::config_to_json<T>(model.config()), config_path);
  if constexpr (detail::HasGenerationKeys<Config>) {
    generation = detail::file_text(detail::generation_config_to_json(model.config()), generation_path);
  }
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require<IoError>(!error && std::filesystem::is_directory(path), "pretrained", path.string(),
                   ": cannot make the folder: ", error ? error.message() : std::string("it is a file"));

  const StoredNames table = PretrainedFormat<Config>::stored_names(model.config());
  const std::string_view left_out = detail::prefix_to_leave_out(model.config());
  std::vector<SafetensorsEntry> entries;
  std::vector<Tensor<T>> transposed;
  for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
    const bool is_row = parameter.shape().rank() == 1;
    const TensorView<const T> view = parameter.value().view();
    for (StoredPart& part : stored_parts(table, name, is_row ? parameter.size() : parameter.rows())) {
      if (part.name.starts_with(left_out)) part.name.erase(0, left_out.size());
      if (part.as_scalar) {
        entries.emplace_back(part.name, std::string(to_string(kDtypeOf<T>)), std::vector<Index>(),
                             std::as_bytes(std::span(view.data() + part.first_row, 1)));
      } else if (is_row) {
        const Shape shape = part.as_row ? Shape{1, part.rows} : Shape{part.rows};
        entries.emplace_back(part.name, TensorView<const T>(view.data() + part.first_row, shape));
      } else if (part.transposed) {
        transposed.emplace_back(Shape{view.cols(), part.rows});
        detail::transpose_into<T>(view.middle_rows(part.first_row, part.rows), transposed.back());
        entries.emplace_back(part.name, std::as_const(transposed.back()).view());
      } else if (part.rows == view.rows()) {
        entries.emplace_back(part.name, view);
      } else {
        entries.emplace_back(part.name, view.middle_rows(part.first_row, part.rows));
      }
    }
  });
  write_safetensors(path / "model.safetensors", entries, {{"format", "pt"}});

  detail::write_text_file(config_path, config);
  if (!generation.empty()) detail::write_text_file(generation_path, generation);
}

}}  // namespace rapt::RAPT_ABI
