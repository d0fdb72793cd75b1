#include "io/checkpoint_file.hpp"
#include "io/checkpoint_draft.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {
namespace {

constexpr const char* remedy = "the file is damaged or incomplete; use an older checkpoint of the run";

std::int64_t elements_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape)
    count *= extent;
  return count;
}

} // namespace

void write_checkpoint(const std::string& path, const Attributes& attributes, const std::vector<ArrayView>& arrays) {
  std::vector<ArrayPlan> plans;
  for (const ArrayView& array : arrays)
    plans.push_back({array.name, array.shape});
  CheckpointDraft draft(path, attributes, std::move(plans));
  std::vector<std::string> digests;
  ArrayWriter writer(draft.temporary());
  for (std::size_t i = 0; i < arrays.size(); ++i)
    digests.push_back(writer.write(draft.offsets()[i], arrays[i].data, elements_of(arrays[i].shape)));
  writer.sync();
  draft.finish(digests);
  draft.commit();
}

std::int64_t ArrayInfo::elements() const { return elements_of(shape); }

CheckpointFile::CheckpointFile(const std::string& path) : path_(path), file_(hdf5::File::open(path)) {
  attributes_ = file_.attributes();
  if (attributes_.count("split") != 0)
    throw DataError(
        fmt::format("{} is a shard of a data set, expected a checkpoint; name a run folder or a file in its "
                    "folder checkpoints",
                    path));
  if (attributes_.count("planned_steps") != 0)
    throw DataError(fmt::format("{} holds what a run measured, expected a checkpoint; name the run folder, or a file "
                                "in its folder checkpoints (weft metrics prints this one)",
                                path));
  const std::int64_t version = integer("format_version");
  if (version != checkpoint_format_version)
    throw DataError(fmt::format("checkpoint {} has format version {}, this program reads {}", path, version,
                                checkpoint_format_version));
  for (const std::string& name : file_.datasets()) {
    const hdf5::Dataset dataset = file_.dataset(name);
    const Attributes about = dataset.attributes();
    const auto digest = about.find("sha256");
    if (dataset.type() != hdf5::Type::f32 || digest == about.end() ||
        !std::holds_alternative<std::string>(digest->second))
      throw DataError(
          fmt::format("array {} of checkpoint {} is not fp32 with an attribute sha256; {}", name, path, remedy));
    arrays_.push_back({name, dataset.shape(), std::get<std::string>(digest->second)});
  }
  if (attributes_.count("arrays") != 0 && static_cast<std::int64_t>(arrays_.size()) != integer("arrays"))
    throw DataError(
        fmt::format("checkpoint {} holds {} arrays, expected {}; {}", path, arrays_.size(), integer("arrays"), remedy));
}

namespace {
template <class T>
T attribute(const CheckpointFile& file, const std::string& name, const char* kind) {
  const auto found = file.attributes().find(name);
  if (found == file.attributes().end() || !std::holds_alternative<T>(found->second))
    throw DataError(
        fmt::format("checkpoint {} has no {} attribute \"{}\"; is it one of this program's?", file.path(), kind, name));
  return std::get<T>(found->second);
}
} // namespace

std::int64_t CheckpointFile::integer(const std::string& name) const {
  return attribute<std::int64_t>(*this, name, "integer");
}
double CheckpointFile::real(const std::string& name) const { return attribute<double>(*this, name, "real"); }
std::string CheckpointFile::text(const std::string& name) const { return attribute<std::string>(*this, name, "text"); }

const ArrayInfo* CheckpointFile::find(const std::string& name) const {
  const auto at = std::lower_bound(arrays_.begin(), arrays_.end(), name,
                                   [](const ArrayInfo& info, const std::string& wanted) { return info.name < wanted; });
  return at != arrays_.end() && at->name == name ? &*at : nullptr;
}

void CheckpointFile::read(const std::string& name, float* to) const {
  const ArrayInfo* info = find(name);
  if (info == nullptr)
    throw DataError(fmt::format("checkpoint {} holds no array {}", path_, name));
  file_.dataset(name).read(hdf5::Type::f32, to);
  const std::string got = sha256(to, static_cast<std::size_t>(info->elements()) * sizeof(float));
  if (got != info->sha256)
    throw DataError(fmt::format("array {} of checkpoint {} is damaged: SHA-256 {}, expected {}; {}", name, path_, got,
                                info->sha256, remedy));
}

void CheckpointFile::verify() const {
  std::vector<float> values;
  for (const ArrayInfo& info : arrays_) {
    values.resize(static_cast<std::size_t>(info.elements()));
    read(info.name, values.data());
  }
}

void verify_checkpoint(const std::string& path) { CheckpointFile(path).verify(); }

} // namespace weft
