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
  std::string file() const { return path + "/provenance.json"; }
  /// A program in Python that gets the file's path.
  void expect_read_by(const std::string& program) const {
    std::ofstream(path + "/read.py") << program;
    EXPECT_EQ(std::system(("/usr/bin/python3 " + path + "/read.py " + file()).c_str()), 0) << read_file(file());
  }
};

Start start_at(std::int64_t step) {
  Start start;
  start.started = utc_now();
  start.command = {"weft", "train", "a \"quoted\"\n\\ file.toml"};
  start.hosts = {"one", "one"};
  start.ranks = 2;
  start.resumed_from_step = step;
  start.checkpoint = step < 0 ? "" : "step.h5";
  start.why = "new";
  return start;
}

} // namespace

TEST(Provenance, every_start_adds_a_record_and_the_file_stays_JSON) {
  Folder folder;
  const std::string path = folder.file();
  append_provenance(path, start_at(-1));
  append_provenance(path, start_at(100));
  append_provenance(path, start_at(200));
  folder.expect_read_by(
      "import json, sys\n"
      "p = json.load(open(sys.argv[1]))\n"
      "s = p['starts']\n"
      "assert p['format_version'] == 1 and len(s) == 3\n"
      "assert [x['resumed_from_step'] for x in s] == [None, 100, 200]\n"
      "assert s[0]['command'][2] == 'a \"quoted\"\\n\\\\ file.toml' and s[0]['hosts'] == ['one', 'one']\n"
      "assert s[0]['checkpoint'] is None and len(s[0]['commit']) > 6 and 'HDF5' in s[0]['libraries']\n"
      "assert isinstance(s[0]['dirty'], bool)\n");
}

TEST(Provenance, a_file_of_another_form_is_moved_aside) {
  Folder folder;
  const std::string path = folder.file();
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

TEST(Provenance, every_start_tells_how_the_one_before_ended) {
  Folder folder;
  const std::string path = folder.file();
  EXPECT_EQ(why_started(path), "new");
  append_provenance(path, start_at(-1));
  EXPECT_THAT(why_started(path), testing::HasSubstr("left no end"));
  end_provenance(path, {120, 75, "SIGTERM"});
  EXPECT_EQ(why_started(path), "after SIGTERM at step 120 (status 75)");
  end_provenance(path, {121, 0, "another end of the same start"}); // has its end already
  EXPECT_EQ(why_started(path), "after SIGTERM at step 120 (status 75)");
  append_provenance(path, start_at(120));
  EXPECT_THAT(why_started(path), testing::HasSubstr("left no end"));
  end_provenance(path, {130, 1, "an \"error\"\nof two lines"});
  EXPECT_EQ(why_started(path), "after an \"error\"\nof two lines at step 130 (status 1)");
  folder.expect_read_by("import json, sys\n"
                        "s = json.load(open(sys.argv[1]))['starts']\n"
                        "assert [x['ended']['step'] for x in s] == [120, 130]\n"
                        "assert s[0]['ended']['status'] == 75 and s[1]['ended']['why'].count('\"') == 2\n");
}

TEST(Provenance, Slurm_is_recorded_where_it_is_there) {
  Folder folder;
  const std::string path = folder.file();
  setenv("SLURM_JOB_ID", "17", 1);
  setenv("SLURM_RESTART_COUNT", "3", 1);
  append_provenance(path, start_at(-1));
  const Attributes about = checkpoint_attributes(start_at(-1));
  unsetenv("SLURM_JOB_ID");
  unsetenv("SLURM_RESTART_COUNT");
  EXPECT_THAT(read_file(path), testing::HasSubstr("\"SLURM_RESTART_COUNT\": \"3\""));
  EXPECT_EQ(std::get<std::string>(about.at("slurm_job_id")), "17");
  EXPECT_EQ(std::get<std::string>(about.at("hosts")), "one one");
  EXPECT_EQ(checkpoint_attributes(start_at(-1)).count("slurm_job_id"), 0u);
}
