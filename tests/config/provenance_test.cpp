// Promise: provenance.json is JSON, has one record per start, and an older or damaged file is never lost.
#include "commands/provenance.hpp"
#include "io/atomic_file.hpp"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

using namespace weft;

namespace {

struct Folder {
  std::string path = testing::TempDir() + "weft_provenance";
  Folder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

Start start_at(std::int64_t step) {
  Start start;
  start.started = utc_now();
  start.command = {"weft", "train", "a \"quoted\"\n\\ file.toml"};
  start.hosts = {"one", "one"};
  start.ranks = 2;
  start.resumed_from_step = step;
  start.checkpoint = step < 0 ? "" : "step.h5";
  return start;
}

} // namespace

TEST(Provenance, every_start_adds_a_record_and_the_file_stays_JSON) {
  Folder folder;
  const std::string path = folder.path + "/provenance.json";
  append_provenance(path, start_at(-1));
  append_provenance(path, start_at(100));
  append_provenance(path, start_at(200));
  const std::string program = folder.path + "/read.py";
  std::ofstream(program)
      << "import json, sys\n"
         "p = json.load(open(sys.argv[1]))\n"
         "s = p['starts']\n"
         "assert p['format_version'] == 1 and len(s) == 3\n"
         "assert [x['resumed_from_step'] for x in s] == [None, 100, 200]\n"
         "assert s[0]['command'][2] == 'a \"quoted\"\\n\\\\ file.toml' and s[0]['hosts'] == ['one', 'one']\n"
         "assert s[0]['checkpoint'] is None and len(s[0]['commit']) > 6 and 'HDF5' in s[0]['libraries']\n"
         "assert isinstance(s[0]['dirty'], bool)\n";
  EXPECT_EQ(std::system(("/usr/bin/python3 " + program + " " + path).c_str()), 0) << read_file(path);
}

TEST(Provenance, a_file_of_another_form_is_moved_aside) {
  Folder folder;
  const std::string path = folder.path + "/provenance.json";
  std::ofstream(path) << "half a fi";
  append_provenance(path, start_at(-1));
  int aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path))
    if (entry.path().filename().string().rfind("provenance.json.damaged", 0) == 0 &&
        read_file(entry.path().string()) == "half a fi")
      ++aside;
  EXPECT_EQ(aside, 1);
  EXPECT_NE(read_file(path).find("\"starts\""), std::string::npos);
}
