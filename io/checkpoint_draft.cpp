#include "io/checkpoint_draft.hpp"
#include "io/checkpoint_file.hpp"
#include "io/digest.hpp"
#include "io/error.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <set>
#include <unistd.h>

namespace weft {

CheckpointDraft::CheckpointDraft(std::string path, const Attributes& attributes, std::vector<ArrayPlan> plans)
    : path_(std::move(path)), attributes_(attributes), plans_(std::move(plans)), file_(path_) {
  std::set<std::string> names;
  for (const ArrayPlan& plan : plans_)
    if (plan.name.empty() || plan.name.front() == '/' || !names.insert(plan.name).second)
      throw Error(exit_failure, fmt::format("array \"{}\" of checkpoint {}: the name is empty, begins with a slash or "
                                            "is there twice",
                                            plan.name, path_));
  hdf5::File file = hdf5::File::create(temporary());
  attributes_["format_version"] = checkpoint_format_version;
  attributes_["arrays"] = static_cast<std::int64_t>(plans_.size()); // so that a lost one is missed
  file.set_attributes(attributes_);
  for (const ArrayPlan& plan : plans_)
    offsets_.push_back(file.reserve_dataset(plan.name, hdf5::Type::f32, plan.shape).offset());
  file.close_unsealed();
}

void CheckpointDraft::finish(const std::vector<std::string>& digests) {
  hdf5::File file = hdf5::File::open_to_write(temporary());
  for (std::size_t i = 0; i < plans_.size(); ++i)
    file.dataset(plans_[i].name).set_attribute("sha256", digests[i]);
  file.close();
  file_.sync();
  check();
}

void CheckpointDraft::check() const {
  const auto came_back = [this](const std::string& what) {
    throw Error(exit_failure, fmt::format("the checkpoint {} came back from the disk {}", path_, what));
  };
  try {
    const CheckpointFile file(temporary());
    for (const auto& [name, value] : attributes_) {
      const auto found = file.attributes().find(name);
      // A NaN differs from itself; for numbers it is enough that they are there.
      if (found == file.attributes().end() || (!std::holds_alternative<double>(value) && found->second != value))
        came_back("without its attribute " + name);
    }
    for (const ArrayPlan& plan : plans_) {
      const ArrayInfo* info = file.find(plan.name);
      if (info == nullptr || info->shape != plan.shape)
        came_back("without its array " + plan.name);
    }
    file.verify();
  } catch (const DataError& error) {
    came_back(std::string("damaged: ") + error.what());
  }
}

void CheckpointDraft::copy_to(const std::string& path) const {
  AtomicFile copy(path);
  std::error_code failed;
  std::filesystem::copy_file(temporary(), copy.temporary(), std::filesystem::copy_options::overwrite_existing, failed);
  if (failed)
    throw Error(exit_failure, fmt::format("cannot copy {} to {}: {}", temporary(), path, failed.message()));
  copy.commit();
}

void CheckpointDraft::commit() { file_.commit(); }

ArrayWriter::ArrayWriter(const std::string& temporary)
    : path_(temporary), descriptor_(open(temporary.c_str(), O_WRONLY | O_CLOEXEC)) {
  if (descriptor_ < 0)
    throw Error(exit_failure, fmt::format("cannot open {} to write a part of it: {}; do all ranks see the same folder?",
                                          path_, std::strerror(errno)));
}

ArrayWriter::~ArrayWriter() {
  if (descriptor_ >= 0)
    close(descriptor_);
}

std::string ArrayWriter::write(std::int64_t offset, const float* values, std::int64_t elements) {
  std::size_t left = static_cast<std::size_t>(elements) * sizeof(float);
  std::string digest = sha256(values, left);
  const char* from = reinterpret_cast<const char*>(values);
  while (left > 0) {
    const ssize_t written = pwrite(descriptor_, from, left, offset);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      throw Error(exit_failure, fmt::format("cannot write {}: {}{}", path_, std::strerror(errno),
                                            errno == ENOSPC || errno == EDQUOT ? "; free some space" : ""));
    from += written;
    offset += written;
    left -= static_cast<std::size_t>(written);
  }
  return digest;
}

void ArrayWriter::sync() {
  if (fsync(descriptor_) != 0)
    throw Error(exit_failure, fmt::format("cannot sync {}: {}", path_, std::strerror(errno)));
}

} // namespace weft
