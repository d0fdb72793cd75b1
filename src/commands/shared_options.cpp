#include "commands/shared_options.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string wrong_output(const std::string& path) {
  std::error_code ignored;
  if (path.empty())
    return "got no name, expected a file";
  if (fs::is_directory(path, ignored))
    return fmt::format("got {}, which is a folder, expected a file", path);
  const std::string folder = fs::path(path).parent_path().string();
  if (!folder.empty() && !fs::is_directory(folder, ignored))
    return fmt::format("got {}, but there is no folder {}; make it first, or mend the name", path, folder);
  return "";
}

} // namespace

CLI::Option* add_sources(CLI::App& command, std::vector<std::string>& from, const std::string& help) {
  CLI::Option* option = command.add_option("--from", from, help + "; the word --from may be left out");
  CLI::Option* bare = command.add_option("raw", from, help);
  for (CLI::Option* one : {option, bare})
    one->type_name(file_word)->check([](const std::string& got) {
      return got.empty() ? std::string("got no name, expected a file or folder") : std::string();
    });
  option->excludes(bare);
  return option;
}

CLI::Option* add_target(CLI::App& command, std::string& to) {
  return command.add_option("--to", to, "folder of the data set; must not exist, or hold the very same data")
      ->required()
      ->type_name(folder_word);
}

CLI::Option* add_output(CLI::App& command, const std::string& name, std::string& path, const std::string& help) {
  return command.add_option(name, path, help)->type_name(file_word)->check([](const std::string& got) {
    return got == "-" ? std::string("got -, expected a file; /dev/stdout is the standard output") : wrong_output(got);
  });
}

CLI::Option* add_output_or_stdout(CLI::App& command, const std::string& name, std::string& path,
                                  const std::string& help) {
  return command.add_option(name, path, help + "; - is the standard output")
      ->type_name(file_word)
      ->check([](const std::string& got) { return got == "-" ? std::string() : wrong_output(got); });
}

std::FILE* talk(std::initializer_list<std::string> outputs) {
  return std::find(outputs.begin(), outputs.end(), "-") != outputs.end() ? stderr : stdout;
}

} // namespace weft
