#include "commands/man_page.hpp"
#include "commands/command_line.hpp"
#include "commands/command_table.hpp"
#include "config/keys.hpp"
#include "config/readers.hpp"
#include "config/version.hpp"
#include <fmt/format.h>

namespace weft {
namespace {

/// Text as roff takes it: nothing in it is an order.
std::string plain(const std::string& text) {
  std::string out;
  bool begins = true; // of a line
  for (const char c : text) {
    if (begins && (c == '.' || c == '\''))
      out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    begins = c == '\n';
  }
  return out;
}

std::string bold(const std::string& text) { return "\\fB" + plain(text) + "\\fR"; }
std::string slanted(const std::string& text) { return "\\fI" + plain(text) + "\\fR"; }

std::string heading(const std::string& text) { return ".SH " + plain(text) + "\n"; }
std::string subheading(const std::string& text) { return ".SS \"" + plain(text) + "\"\n"; }
std::string entry(const std::string& term, const std::string& text) { return ".TP\n" + term + "\n" + text + "\n"; }

std::string term_of(const WordOf& word) {
  std::string term;
  for (const std::string& name : word.names)
    term += (term.empty() ? "" : ", ") + bold(name);
  if (!word.title.empty())
    term += (term.empty() ? "" : " ") + slanted(word.title) + (word.many ? " ..." : "");
  return term;
}

std::string synopsis(const CommandOf& command) {
  std::string line = bold(command.path);
  for (const WordOf& word : command.words)
    if (!word.names.empty() && word.required)
      line += " " + term_of(word);
  line += " [" + slanted("OPTIONS") + "]";
  for (const WordOf& word : command.words)
    if (word.names.empty())
      line += word.required ? " " + term_of(word) : " [" + term_of(word) + "]";
  return line;
}

std::string command_text(const CommandOf& command) {
  std::string out = subheading(command.path) + synopsis(command) + "\n.PP\n" + plain(command.help) + ".\n";
  for (const WordOf& word : command.words) {
    if (word.help.empty() || (!word.names.empty() && word.names.back() == "--help"))
      continue;
    std::string text = plain(word.help);
    if (!word.initial.empty())
      text += plain("; default " + word.initial);
    out += entry(term_of(word), text + ".");
  }
  return out;
}

std::string keys_text() {
  Config config;
  std::string out, section;
  for (const Key& key : keys_of(config)) {
    if (key.section() != section) {
      section = key.section();
      out += subheading("[" + section + "]");
    }
    std::string text = plain(key.help + ". Expected " + expected_text(key) +
                             (key.unit.empty() ? "" : ", in " + key.unit) + "; default " + value_text(key) + ".");
    if (!key.of.empty())
      text += plain(" Read with " + readers_text(key, section) + ".");
    out += entry(bold(key.name), text);
  }
  return out;
}

} // namespace

std::string man_page(const CLI::App& app) {
  const std::vector<CommandOf> commands = commands_of(app);
  std::string out = ".\\\" Written by weft help --man; change the tables of the program, not this page.\n";
  out += fmt::format(".TH WEFT 1 \"\" \"weft {}\" \"User Commands\"\n.nh\n.ad l\n", version().version);
  out += heading("NAME") + "weft \\- train and evaluate long\\-sequence models\n";
  out += heading("SYNOPSIS") + bold("weft") + " " + slanted("COMMAND") + " [" + slanted("OPTIONS") + "] ...\n.PP\n" +
         bold("mpirun -n") + " " + slanted("RANKS") + " " + bold("weft train") + " " + slanted("INPUT") + " [" +
         slanted("KEY=VALUE") + " ...]\n";
  out += heading("DESCRIPTION") +
         plain("Weft trains and evaluates long-sequence models as an MPI-parallel batch program. A run is one input "
               "file in TOML; it gives the same bits on any number of ranks and through any stop and restart, and "
               "leaves tables, metrics and checkpoints in its run folder. Every command has --help.\n");
  out += heading("COMMANDS");
  for (const CommandOf& command : commands)
    if (command.path != app.get_name() && command.commands.empty())
      out += command_text(command);
  out += heading("INPUT") +
         plain("An input file has a section for each part of a run. The command line may set keys too, as "
               "section.key=value after the file; the later one wins.\n") +
         keys_text();
  out += heading("EXIT STATUS");
  const std::pair<const char*, const char*> ends[] = {
      {"0", "done"},
      {"1", "anything that is not below"},
      {"2", "the input or the command line is wrong; nothing was started"},
      {"3", "the numbers went bad"},
      {"4", "a data or checkpoint file is damaged or missing"},
      {"75", "stopped on request after a checkpoint; the same command goes on"}};
  for (const auto& [number, text] : ends)
    out += entry(bold(number), plain(text) + ".");
  out += heading("ENVIRONMENT");
  out += entry(bold("OMP_NUM_THREADS"), "threads of a rank.");
  out += entry(bold("OMP_WAIT_POLICY") + ", " + bold("GOMP_SPINCOUNT"),
               "how long threads wait for work before they sleep; where neither is set, weft chooses.");
  out += entry(bold("NO_COLOR"), "where it is set and not empty, errors have no colour on a terminal.");
  out += heading("FILES") +
         entry(plain("runs/NAME"), plain("a run: config.toml, run.log, metrics.h5, provenance.json, "
                                         "checkpoints/, evaluations/.")) +
         entry(plain("runs/NAME/STOP"), "made by a person, it stops the run with a checkpoint and status 75.");
  out += heading("SEE ALSO") + bold("mpirun") + "(1), " + bold("sbatch") + "(1)\n";
  return out;
}

} // namespace weft
