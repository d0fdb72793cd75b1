"""One table in three forms: CSV, Markdown and LaTeX. A table is a list of dictionaries of texts, one per row."""
import csv
import io
import os
import statistics
import tomllib

SPECIAL = {"\\": r"\textbackslash{}", "±": r"$\pm$", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
           "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}",
           "<": r"\textless{}", ">": r"\textgreater{}", "×": r"$\times$"}


def tex(text):
    """The text with every character that LaTeX would take as a command written out."""
    return "".join(SPECIAL.get(c, c) for c in text)


def published(name):
    """What was published: the file of this name beside this one."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "rb") as f:
        return tomllib.load(f)


def spread(values, digits=4, factor=1):
    """'1.2345', or '1.2345 ± 0.0012' of several, or '' of none, all times `factor`. Values that are missing are left out."""
    values = [factor * v for v in values if v is not None]
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


class Form:
    """Columns of a table: `columns` in order, `titles` where a heading is not the column's name, `text` those aligned to
    the left, `wide` those that LaTeX breaks into lines, `always` those shown even if no row says anything there."""

    def __init__(self, columns, titles=None, text=(), wide=(), always=()):
        self.columns, self.titles, self.text, self.wide, self.always = columns, titles or {}, text, wide, always

    def shown(self, rows):
        """Columns that say something, with their headings."""
        return [(c, self.titles.get(c, c)) for c in self.columns if c in self.always or any(r[c] for r in rows)]

    def csv(self, rows):
        out = io.StringIO()
        writer = csv.DictWriter(out, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    def markdown(self, rows, head="", notes=()):
        columns = self.shown(rows)
        lines = [head, ""] if head else []
        lines += ["| " + " | ".join(title for _, title in columns) + " |",
                  "| " + " | ".join("---" if c in self.text else "---:" for c, _ in columns) + " |"]
        lines += ["| " + " | ".join(r[c].replace("|", "\\|") for c, _ in columns) + " |" for r in rows]
        lines += [line for note in notes for line in ("", note)]
        return "\n".join(lines) + "\n"

    def latex(self, rows, head="", notes=()):
        columns = self.shown(rows)
        align = "".join("p{3.4cm}" if c in self.wide else "l" if c in self.text else "r" for c, _ in columns)
        lines = ["% " + head] if head else []
        lines += [r"% needs \usepackage{booktabs}", r"\begin{tabular}{" + align + "}", r"\toprule",
                  " & ".join(tex(title) for _, title in columns) + r" \\", r"\midrule"]
        lines += [" & ".join(tex(r[c]) for c, _ in columns) + r" \\" for r in rows]
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [line for note in notes for line in ("", r"\smallskip\noindent " + tex(note))]
        return "\n".join(lines) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".partial", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".partial", path)


def write_all(prefix, form, rows, head="", notes=(), printed=None):
    """PREFIX.csv, PREFIX.md and PREFIX.tex; the latter two in the form `printed`, if it is given."""
    printed = printed or form
    write(prefix + ".csv", form.csv(rows))
    write(prefix + ".md", printed.markdown(rows, head, notes))
    write(prefix + ".tex", printed.latex(rows, head, notes))
