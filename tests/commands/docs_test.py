"""README.md and docs/*.md: no prose line above 120 columns; the files, commands and options that they name exist.

  docs_test.py --reflow FILE ...    breaks the paragraphs anew that have a longer line
"""
import functools
import glob
import os
import re
import subprocess
import sys
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.normpath(os.path.join(HERE, "..", ".."))
COLUMNS = 120
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")     # the beginning of a list entry
NEVER_FIRST = re.compile(r" (?=(?:[-*+>|]|#+|\d+\.)(?: |$))")  # would begin something else at the start of a line
FOLDERS = ("src", "kernels", "io", "slurm", "inputs", "postproc", "tests", "cmake", "docs", "scripts")
# docs/files.md: texts whose SHA-256 puts examples in order, such as `weft cifar10 i`. No commands.
ORDER_TEXTS = {"cifar10", "images", "imdb", "listops", "pairs"}


def pages():
    return [os.path.join(SOURCE, "README.md"), *sorted(glob.glob(os.path.join(SOURCE, "docs", "*.md")))]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def blocks(text):
    """Pieces of a page in their order: ("code", lines) between fences, ("prose", lines) for a paragraph or list entry,
    ("other", lines) for tables, headings, fences and empty lines."""
    found, fenced = [], False

    def add(kind, line, begins):
        if found and found[-1][0] == kind and not begins:
            found[-1][1].append(line)
        else:
            found.append((kind, [line]))

    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            add("other", line, False)
        elif fenced:
            add("code", line, False)
        elif not line.strip() or line.lstrip().startswith(("|", "#", "![")):
            add("other", line, False)
        else:
            add("prose", line, ITEM.match(line) is not None)
    return found


def long_lines(text):
    return [line for kind, lines in blocks(text) if kind == "prose" for line in lines
            if len(line) > COLUMNS and "://" not in line]


def reflowed(text):
    out = []
    for kind, lines in blocks(text):
        if kind == "prose" and long_lines("\n".join(lines)):
            first = re.match(ITEM.pattern + r"|\s*", lines[0]).group()
            words = " ".join([lines[0][len(first):], *lines[1:]])
            words = NEVER_FIRST.sub("\0", " ".join(words.split()))
            lines = textwrap.wrap(words, COLUMNS, initial_indent=first, subsequent_indent=" " * len(first),
                                  break_long_words=False, break_on_hyphens=False)
            lines = [line.replace("\0", " ") for line in lines]
        out += lines
    return "\n".join(out)


def code(text):
    """What stands between fences, a text for each line, and in backticks."""
    found = []
    for kind, lines in blocks(text):
        if kind == "code":
            found += [line.split(" #")[0] for line in lines]
        else:
            found += re.findall(r"`([^`]+)`", " ".join(line.strip() for line in lines if "```" not in line))
    return found


def expanded(path):
    """a{b,c} as ab and ac."""
    parts = re.match(r"(.*?)\{([^{}]*)\}(.*)", path)
    return [path] if not parts else [p for word in parts[2].split(",") for p in expanded(parts[1] + word + parts[3])]


def missing_files(text, page=os.path.join(SOURCE, "README.md")):
    """Paths in code, from the top of the project or from src/, bare names of pages, and the targets of links."""
    under_src = sorted(os.listdir(os.path.join(SOURCE, "src")))
    missing = []
    for piece in code(text):
        for path in re.findall(r"(?<![\w./<-])((?:%s)/[\w./{},*+-]*)" % "|".join(FOLDERS), piece):
            missing += [p for p in expanded(path.rstrip(".,")) if not glob.glob(os.path.join(SOURCE, p))]
        for path in re.findall(r"(?<![\w./<-])((?:%s)/[\w./]+\.[ch]pp)" % "|".join(under_src), piece):
            missing += [path] if not os.path.exists(os.path.join(SOURCE, "src", path)) else []
        if re.fullmatch(r"[\w-]+\.md", piece):
            missing += [piece] if not any(os.path.exists(os.path.join(SOURCE, d, piece)) for d in ("", "docs")) else []
    for kind, lines in blocks(text):
        for target in re.findall(r"\]\(([^)#]+)", "\n".join(lines) if kind != "code" else ""):
            if "://" not in target and not os.path.exists(os.path.join(os.path.dirname(page), target)):
                missing.append(target)
    return missing


@functools.lru_cache(None)
def help_of(*command):
    return subprocess.run([os.environ["WEFT"], *command, "--help"], capture_output=True, text=True, timeout=60,
                          check=True).stdout


@functools.lru_cache(None)
def subcommands(*command):
    text = help_of(*command)
    return re.findall(r"^  ([a-z]\w*)", text[text.index("Subcommands:"):], re.M) if "Subcommands:" in text else []


def unknown_commands(text):
    unknown = []
    for piece in code(text):
        for words in re.findall(r"(?:^\s*|/|&& |(?:mpirun|srun)\b[^|]* )weft (?! )((?:[^|;)]|\)$)*)", piece):
            command = []
            for word in words.split():
                known = subcommands(*command)
                if not known or not re.fullmatch(r"[a-z]\w*", word):
                    break
                if word not in known:
                    if command or word not in ORDER_TEXTS:
                        unknown.append(f"weft {' '.join([*command, word])}")
                    command = None
                    break
                command.append(word)
            for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", words) if command is not None else []:
                if option not in re.findall(r"--[a-z][a-z-]*", help_of(*command)):
                    unknown.append(f"weft {' '.join([*command, option])}")
    return unknown


class Pages(unittest.TestCase):
    def each(self, check):
        self.assertGreater(len(pages()), 10)
        for page in pages():
            with self.subTest(page=os.path.relpath(page, SOURCE)):
                self.assertEqual(check(read(page), page), [])

    def test_prose_has_at_most_120_columns(self):
        self.each(lambda text, page: [f"{line} (docs_test.py --reflow {page})" for line in long_lines(text)])

    def test_the_readme_has_at_most_120_columns_everywhere(self):
        self.assertEqual([line for line in read(pages()[0]).split("\n") if len(line) > COLUMNS], [])

    def test_files_exist(self):
        self.each(missing_files)

    def test_commands_and_options_exist(self):
        self.each(lambda text, page: unknown_commands(text))


class Checks(unittest.TestCase):
    """That the checks above see what is wrong."""

    def test_long_lines(self):
        long = "word " * 30
        text = f"{long}\n- {long}\n| {long} |\n```\n{long}\n```\nsee https://a.b/{long}\n"
        self.assertEqual(len(long_lines(text)), 2)

    def test_reflow_keeps_the_words_and_the_rest(self):
        text = ("# t\n\n" + "a - b 1. c `d e` " * 12 + "\nend\n\n| " + "x" * 130 + " |\n\n1. " + "one two " * 20 +
                "\n   three\n2. four\n")
        new = reflowed(text)
        self.assertEqual(new.split(), text.split())
        self.assertEqual(long_lines(new), [])
        starts = [line for line in new.split("\n") if ITEM.match(line)]
        self.assertEqual([line[:2] for line in starts], ["1.", "2."])
        self.assertEqual(reflowed(new), new)

    def test_missing_files(self):
        text = ("`src/main.cpp` `src/none.cpp` `io/{hdf5,no}.hpp` `config/keys.cpp` `config/no.cpp` `none.md`\n"
                "`inputs/*/*.toml`\n")
        self.assertEqual(missing_files(text + "![p](docs/none.png)\n```\nscripts/none.sh --to x # docs/no.md\n```\n"),
                         ["src/none.cpp", "io/no.hpp", "config/no.cpp", "none.md", "scripts/none.sh", "docs/none.png"])

    def test_unknown_commands(self):
        text = ("`weft trian IN.toml` `weft prepare listops --from x` `weft prepare nothing`\n"
                "`weft eval RUN --json F --jsno F`; weft is no command here, and `weft cifar10 i` is none.\n"
                "```\nmpirun -n 4 build/cpu/weft fly in.toml\n```\n")
        self.assertEqual(unknown_commands(text), ["weft trian", "weft prepare nothing", "weft eval --jsno", "weft fly"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reflow"]:
        for name in sys.argv[2:]:
            new = reflowed(read(name))
            with open(name, "w", encoding="utf-8") as out:
                out.write(new)
    else:
        sys.path.insert(0, os.path.join(HERE, ".."))
        from programs import main
        main()
