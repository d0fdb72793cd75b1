#include "io/raw/pickle.hpp"
#include "io/error.hpp"
#include <cstring>
#include <deque>
#include <fmt/core.h>
#include <map>
#include <string_view>

namespace weft {
namespace {

using namespace std::string_view_literals;

enum class Kind { none, boolean, integer, text, list, tuple, dict, name, dtype, array };

/// Dictionaries hold keys and values in turn. An array holds its shape, its bytes are `text`.
struct Node {
  Kind kind;
  std::int64_t number = 0;
  std::string text;
  std::vector<Node*> items;
};

constexpr std::size_t most_nodes = 2'000'000; // a batch has 20,000 and some

class Reader {
 public:
  Reader(const std::string& bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  Node& read() {
    if (next_byte() != 0x80)
      refuse("it does not begin with a protocol number");
    if (const int protocol = next_byte(); protocol != 2)
      refuse(fmt::format("it is a pickle of protocol {}, expected 2", protocol));
    while (step())
      continue;
    if (at_ != bytes_.size())
      refuse("bytes follow its end");
    if (stack_.size() != 1)
      refuse(fmt::format("{} objects are left at its end, expected 1", stack_.size()));
    return *stack_.front();
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw DataError(fmt::format("{} is not a batch of CIFAR-10 as Python stores it: {} (at byte {} of {}); download it "
                                "again, or take the binary version",
                                name_, why, at_, bytes_.size()));
  }

 private:
  int next_byte() { return static_cast<unsigned char>(take(1)[0]); }
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_)
      refuse("it is cut short");
    const std::string_view found(bytes_.data() + at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return found;
  }
  /// Little endian.
  std::uint64_t number(int count) {
    const std::string_view digits = take(static_cast<std::uint64_t>(count));
    std::uint64_t value = 0;
    for (int i = count; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(digits[static_cast<std::size_t>(i)]);
    return value;
  }
  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string::npos)
      refuse("it is cut short");
    const std::string_view found = take(end - at_);
    take(1);
    return found;
  }

  Node* make(Kind kind) {
    if (nodes_.size() == most_nodes)
      refuse(fmt::format("it holds more than {} objects", most_nodes));
    nodes_.push_back(Node{kind, 0, {}, {}});
    return &nodes_.back();
  }
  void push(Node* node) { stack_.push_back(node); }
  void push_number(Kind kind, std::int64_t value) {
    push(make(kind));
    stack_.back()->number = value;
  }
  void push_text(std::string_view text) {
    push(make(Kind::text));
    stack_.back()->text = text;
  }
  Node* pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
      refuse("an operation finds nothing to work on");
    Node* top = stack_.back();
    stack_.pop_back();
    return top;
  }
  Node* top_of(Kind kind, const char* what) {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()) || stack_.back()->kind != kind)
      refuse(fmt::format("an operation finds no {} to work on", what));
    return stack_.back();
  }
  std::vector<Node*> pop_to_mark() {
    if (marks_.empty())
      refuse("an operation finds no mark");
    std::vector<Node*> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  void tuple_of(int count) {
    std::vector<Node*> items(static_cast<std::size_t>(count));
    for (int i = count; i-- > 0;)
      items[static_cast<std::size_t>(i)] = pop();
    push(make(Kind::tuple));
    stack_.back()->items = std::move(items);
  }
  void extend(Kind kind, const char* what, const std::vector<Node*>& items) {
    Node* to = top_of(kind, what);
    if (kind == Kind::dict && items.size() % 2 != 0)
      refuse("a dictionary has a key without a value");
    to->items.insert(to->items.end(), items.begin(), items.end());
  }
  void remember(std::uint64_t place) {
    if (stack_.empty())
      refuse("an operation finds nothing to work on");
    memo_[place] = stack_.back();
  }
  void recall(std::uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end())
      refuse(fmt::format("object {} is used before it is there", place));
    push(found->second);
  }
  void expect(bool holds, const char* why) {
    if (!holds)
      refuse(why);
  }

  /// The bytes that Python 3 writes for protocol 2: text whose characters 0 to 255 stand for bytes.
  std::string latin1(const std::string& utf8) {
    std::string out;
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      const auto c = static_cast<unsigned char>(utf8[i]);
      if (c < 0x80) {
        out += utf8[i];
        continue;
      }
      expect((c == 0xc2 || c == 0xc3) && i + 1 < utf8.size(), "text holds a character that is no byte");
      const auto low = static_cast<unsigned char>(utf8[++i]);
      expect((low & 0xc0) == 0x80, "text holds a character that is no byte");
      out += static_cast<char>((c & 3) << 6 | (low & 0x3f));
    }
    return out;
  }

  void global() {
    const std::string module(line()), name = module + "." + std::string(line());
    for (const char* known : {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
                              "numpy.ndarray", "numpy.dtype", "_codecs.encode"})
      if (name == known) {
        push(make(Kind::name));
        stack_.back()->text = name.find("_reconstruct") != std::string::npos ? "_reconstruct" : name;
        return;
      }
    refuse(fmt::format("it uses the name \"{:.80}\"", name));
  }

  void reduce() {
    const Node* arguments = top_of(Kind::tuple, "arguments");
    pop();
    const Node* callee = top_of(Kind::name, "name");
    pop();
    const std::vector<Node*>& a = arguments->items;
    if (callee->text == "_codecs.encode") {
      expect(a.size() == 2 && a[0]->kind == Kind::text && a[1]->text == "latin1",
             "its bytes are stored in another way");
      std::string text = latin1(a[0]->text);
      a[0]->text.clear(); // nothing large is ever copied twice, however often it is named
      push(make(Kind::text));
      stack_.back()->text = std::move(text);
    } else if (callee->text == "numpy.dtype") {
      expect(!a.empty() && a[0]->kind == Kind::text && a[0]->text == "u1", "its array is not of the type uint8");
      push(make(Kind::dtype));
    } else {
      expect(callee->text == "_reconstruct" && a.size() == 3 && a[0]->kind == Kind::name &&
                 a[0]->text == "numpy.ndarray",
             "it calls something else than the making of an array");
      push(make(Kind::array));
    }
  }

  void build() {
    const Node* state = top_of(Kind::tuple, "state");
    pop();
    expect(!stack_.empty(), "an operation finds nothing to work on");
    Node* object = stack_.back();
    const std::vector<Node*>& s = state->items;
    if (object->kind == Kind::dtype) {
      expect(s.size() >= 2 && s[0]->kind == Kind::integer && s[1]->kind == Kind::text && s[1]->text == "|",
             "the type of its array has another byte order");
      return;
    }
    expect(object->kind == Kind::array, "it changes something else than an array");
    // version, shape, type, column-major or not, bytes
    expect(s.size() == 5 && s[0]->kind == Kind::integer && s[0]->number == 1 && s[1]->kind == Kind::tuple &&
               s[1]->items.size() == 2 && s[2]->kind == Kind::dtype && s[4]->kind == Kind::text,
           "its array is not two-dimensional, or stored in another way");
    expect((s[3]->kind == Kind::boolean || s[3]->kind == Kind::integer) && s[3]->number == 0,
           "its array is stored by columns");
    std::int64_t elements = 1;
    for (const Node* extent : s[1]->items) {
      expect(extent->kind == Kind::integer && extent->number >= 0 && extent->number <= 1 << 30,
             "its array has an impossible shape");
      elements *= extent->number; // at most 2^60
    }
    expect(elements == static_cast<std::int64_t>(s[4]->text.size()), "its array has another number of bytes than its "
                                                                     "shape says");
    object->items = s[1]->items;
    object->text = std::move(s[4]->text); // moved, so that no pickle can make many of it
    s[4]->text.clear();
  }

  /// An opcode that pushes what is new; false if it is none.
  bool pushes(int code) {
    switch (code) {
    case 'N':
      push(make(Kind::none));
      break;
    case 0x88:
      push_number(Kind::boolean, 1);
      break;
    case 0x89:
      push_number(Kind::boolean, 0);
      break;
    case 'K':
      push_number(Kind::integer, static_cast<std::int64_t>(number(1)));
      break;
    case 'M':
      push_number(Kind::integer, static_cast<std::int64_t>(number(2)));
      break;
    case 'J':
      push_number(Kind::integer, static_cast<std::int32_t>(number(4)));
      break;
    case 'U':
      push_text(take(number(1)));
      break;
    case 'T':
    case 'X':
      push_text(take(number(4)));
      break;
    case ']':
      push(make(Kind::list));
      break;
    case '}':
      push(make(Kind::dict));
      break;
    case ')':
      tuple_of(0);
      break;
    case 0x85:
      tuple_of(1);
      break;
    case 0x86:
      tuple_of(2);
      break;
    case 0x87:
      tuple_of(3);
      break;
    default:
      return false;
    }
    return true;
  }

  /// One opcode; false at the end.
  bool step() {
    const int code = next_byte();
    if (pushes(code))
      return true;
    switch (code) {
    case '.':
      return false;
    case '(':
      marks_.push_back(stack_.size());
      break;
    case 't': {
      std::vector<Node*> items = pop_to_mark();
      push(make(Kind::tuple));
      stack_.back()->items = std::move(items);
      break;
    }
    case 'a': {
      Node* item = pop();
      extend(Kind::list, "list", {item});
      break;
    }
    case 'e':
      extend(Kind::list, "list", pop_to_mark());
      break;
    case 's': {
      Node* value = pop();
      Node* key = pop();
      extend(Kind::dict, "dictionary", {key, value});
      break;
    }
    case 'u':
      extend(Kind::dict, "dictionary", pop_to_mark());
      break;
    case 'q':
      remember(number(1));
      break;
    case 'r':
      remember(number(4));
      break;
    case 'h':
      recall(number(1));
      break;
    case 'j':
      recall(number(4));
      break;
    case 'c':
      global();
      break;
    case 'R':
      reduce();
      break;
    case 'b':
      build();
      break;
    default:
      refuse(fmt::format("it has the opcode 0x{:02x}", code));
    }
    return true;
  }

  const std::string& bytes_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::deque<Node> nodes_; // addresses stay; objects that hold each other go all at once
  std::vector<Node*> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, Node*> memo_;
};

} // namespace

PickledBatch read_pickled_batch(const std::string& bytes, const std::string& name) {
  Reader reader(bytes, name);
  const Node& root = reader.read();
  if (root.kind != Kind::dict)
    reader.refuse("it is no dictionary");
  const auto entry = [&](const char* key, Kind kind, const char* what) -> Node& {
    Node* found = nullptr;
    for (std::size_t i = 0; i + 1 < root.items.size(); i += 2)
      if (root.items[i]->kind == Kind::text && root.items[i]->text == key)
        found = root.items[i + 1];
    if (found == nullptr)
      reader.refuse(fmt::format("it has no entry \"{}\"", key));
    if (found->kind != kind)
      reader.refuse(fmt::format("its entry \"{}\" is no {}", key, what));
    return *found;
  };
  Node& data = entry("data", Kind::array, "array");
  const Node& labels = entry("labels", Kind::list, "list");
  if (data.items.size() != 2)
    reader.refuse("its array has no content");
  PickledBatch batch{data.items[0]->number, data.items[1]->number, std::move(data.text), {}};
  for (const Node* label : labels.items) {
    if (label->kind != Kind::integer)
      reader.refuse("a label is no integer");
    batch.labels.push_back(label->number);
  }
  if (static_cast<std::int64_t>(batch.labels.size()) != batch.rows)
    reader.refuse(fmt::format("it has {} images and {} labels", batch.rows, batch.labels.size()));
  return batch;
}

} // namespace weft
