// CIFAR-10 (Krizhevsky 2009): 60,000 pictures of 32 x 32 pixels in 10 classes, as its binary or its Python version.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <cstdint>
#include <string>

namespace weft {

/// What the whole data set must be.
struct KnownCifar10 {
  std::int64_t batch_images = 10'000; ///< in each of five training batches and the test batch
  std::int64_t valid_images = 2'000;
  std::string binary_md5 = "c32a1d4ab5d03f1284b67883e8d87530"; ///< of cifar-10-binary.tar.gz
  std::string python_md5 = "c58f30108f718f92721af3b95e74349a"; ///< of cifar-10-python.tar.gz
};

/// Prepares `folder` from either version: the archive as downloaded, the same unpacked to a .tar, the unpacked folder
/// (cifar-10-batches-bin, cifar-10-batches-py) or a folder that contains one of them.
///
/// Examples of 3072 bytes by row, column, channel (the files hold channel planes), label 0 to 9. The test batch is the
/// test split. Of the training images (in the order of the batches) `valid_images` are the valid split: the last of the
/// order in which the SHA-256 of the texts "weft cifar10 <number from 0>" sorts them; the others, in their own order,
/// are train. Both versions give the same data set; its source_sha256 is that of the training images and the test
/// images, each as label byte and 3072 bytes.
///
/// An archive with the official MD5 is "verified". Batches that are missing or short are taken only with
/// `allow_partial`; valid then is floor(4 %) of the training images. DataError where the source is missing, damaged,
/// cut or something else. InputError where a folder holds both versions. `known` is there for tests.
Prepared prepare_cifar10(const std::string& raw, const std::string& folder, int shards, bool allow_partial,
                         const KnownCifar10& known = {});

} // namespace weft
