// The files of docs/ that must say what the program says.
#pragma once
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>

namespace weft::test {

/// docs/<name> of the source folder; CTest says where that is.
inline std::string document(const std::string& name) {
  const char* source = std::getenv("WEFT_SOURCE");
  EXPECT_NE(source, nullptr) << "WEFT_SOURCE must name the source folder; CTest sets it";
  std::ifstream in(std::string(source == nullptr ? "." : source) + "/docs/" + name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace weft::test
