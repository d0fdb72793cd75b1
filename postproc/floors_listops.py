"""What ListOps expressions tell without their depth (floors_arena.py)."""
import numpy as np

from floors_shares import by_group, share
from runs import RunError

LEVELS = 4
OPERATORS = ("MIN", "MAX", "MED", "SM")


def apply(operator, values):
    if operator == "MIN":
        return min(values)
    if operator == "MAX":
        return max(values)
    if operator == "SM":
        return sum(values) % 10
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) // 2


def level_values(words, levels=LEVELS):
    """Values of an expression without its lists nested deeper than 1 .. levels; None where no digit is left. A list that
    is cut off counts as ended."""
    stack, done = [], [None] * levels

    def close():
        operator, digits, lists = stack.pop()
        out = []
        for k in range(levels):
            values = digits + [v[k - 1] for v in lists if v[k - 1] is not None] if k else digits
            out.append(apply(operator, values) if values else None)
        return out

    def give(value):
        if stack:
            stack[-1][2].append(value)
            return done
        return value

    for word in words:
        if word.startswith("["):
            stack.append((word[1:], [], []))
        elif word == "]":
            if stack:
                done = give(close())
        elif word.isdigit():
            if not stack:
                return [int(word)] * levels
            stack[-1][1].append(int(word))
    while stack:
        done = give(close())
    return done


def listops(train, test):
    names = str(test.attributes.get("symbols", "")).split()
    if not names:
        raise RunError("ListOps shards without the attribute symbols, which says what the tokens mean: prepare or generate "
                       "the data set again")
    passed_over = [i for i, name in enumerate(names) if name in ("(", "[")]

    def first(tokens):
        return tokens[np.arange(len(tokens)), np.isin(tokens, passed_over, invert=True).argmax(axis=1)]

    root = by_group(first(train.tokens), train.label, first(test.tokens), test.classes)
    out = {"root_operator": share(root, test.label)}
    if "]" not in names or not any(name.lstrip("[") in OPERATORS for name in names):
        return out  # the trees, or the operators, are lost
    names = ["[" + name if name in OPERATORS else "" if name == "[" else name for name in names]
    predicted = np.repeat(root[:, None], LEVELS, 1)
    for i, (row, length) in enumerate(zip(test.tokens, test.length)):
        for k, value in enumerate(level_values([names[t] for t in row[:length]])):
            if value is not None:
                predicted[i, k] = value
    for k in range(LEVELS):
        out[f"levels{k + 1}"] = share(predicted[:, k], test.label)
    return out
