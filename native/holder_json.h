// The little of JSON that the holder needs: members of an object, found and kept as they were written.
#pragma once

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace byref {

inline void SkipBlanks(std::string_view text, size_t* at) {
  while (*at < text.size() && strchr(" \t\r\n", text[*at]) != nullptr) ++*at;
}

// Moves behind the string that begins here; false if it does not end.
inline bool SkipString(std::string_view text, size_t* at) {
  for (++*at; *at < text.size(); ++*at) {
    if (text[*at] == '\\') {
      ++*at;
    } else if (text[*at] == '"') {
      ++*at;
      return true;
    }
  }
  return false;
}

// Moves behind the value that begins here; false if it does not end.
inline bool SkipValue(std::string_view text, size_t* at) {
  int depth = 0;
  do {
    SkipBlanks(text, at);
    if (*at >= text.size()) return false;
    const char c = text[*at];
    if (c == '"') {
      if (!SkipString(text, at)) return false;
    } else if (c == '{' || c == '[') {
      ++depth;
      ++*at;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) return false;
      ++*at;
    } else if (c == ',' || c == ':') {
      if (depth == 0) return false;
      ++*at;
    } else {
      const size_t from = *at;
      while (*at < text.size() && strchr(",:]} \t\r\n", text[*at]) == nullptr) ++*at;
      if (*at == from) return false;
    }
  } while (depth > 0);
  return true;
}

// A member's value, as it is written; empty if `object` is none, or has none of that name.
inline std::string_view Member(std::string_view object, std::string_view name) {
  size_t at = 0;
  SkipBlanks(object, &at);
  if (at >= object.size() || object[at] != '{') return {};
  do {
    ++at;
    SkipBlanks(object, &at);
    const size_t key = at;
    if (at >= object.size() || object[at] != '"' || !SkipString(object, &at)) return {};
    const bool is_it = object.substr(key + 1, at - key - 2) == name;
    SkipBlanks(object, &at);
    if (at >= object.size() || object[at] != ':') return {};
    SkipBlanks(object, &++at);
    const size_t value = at;
    if (!SkipValue(object, &at)) return {};
    if (is_it) return object.substr(value, at - value);
    SkipBlanks(object, &at);
  } while (at < object.size() && object[at] == ',');
  return {};
}

// A whole number of at most 15 digits; -1 if the value is none.
inline long long NumberOf(std::string_view value) {
  if (value.empty() || value.size() > 15) return -1;
  long long number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

// True for a string as JSON has it, so that it can be repeated as it was written.
inline bool IsString(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return false;
  value = value.substr(1, value.size() - 2);
  for (size_t at = 0; at < value.size(); ++at) {
    if (static_cast<unsigned char>(value[at]) < 0x20 || value[at] == '"') return false;
    if (value[at] != '\\') continue;
    if (++at == value.size() || strchr("\"\\/bfnrtu", value[at]) == nullptr) return false;
    if (value[at] != 'u') continue;
    if (value.size() - at <= 4) return false;
    for (int digit = 0; digit < 4; ++digit)
      if (!isxdigit(static_cast<unsigned char>(value[++at]))) return false;
  }
  return true;
}

// Puts a character's bytes, as UTF-8, at the end of a text.
inline void AppendCharacter(unsigned long code, std::string* text) {
  if (code < 0x80) {
    *text += static_cast<char>(code);
  } else if (code < 0x800) {
    *text += static_cast<char>(0xc0 | code >> 6);
    *text += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    *text += static_cast<char>(0xe0 | code >> 12);
    *text += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    *text += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// The text that a string of JSON stands for, for which IsString() is true.
inline std::string TextOf(std::string_view string) {
  std::string text;
  for (size_t at = 1; at + 1 < string.size(); ++at) {
    if (string[at] != '\\') {
      text += string[at];
      continue;
    }
    const char c = string[++at];
    if (c == 'u') {
      AppendCharacter(strtoul(std::string(string.substr(at + 1, 4)).c_str(), nullptr, 16), &text);
      at += 4;
    } else {
      const char *short_forms = "bfnrt", *meanings = "\b\f\n\r\t";
      const char* found = strchr(short_forms, c);
      text += found == nullptr ? c : meanings[found - short_forms];
    }
  }
  return text;
}

// The texts of an array of strings; empty if the value is none.
inline std::vector<std::string> TextsOf(std::string_view array) {
  std::vector<std::string> texts;
  size_t at = 0;
  if (array.empty() || array[0] != '[') return {};
  do {
    SkipBlanks(array, &++at);
    const size_t from = at;
    if (at >= array.size() || array[at] != '"' || !SkipString(array, &at)) return {};
    const std::string_view string = array.substr(from, at - from);
    if (!IsString(string)) return {};
    texts.push_back(TextOf(string));
    SkipBlanks(array, &at);
  } while (at < array.size() && array[at] == ',');
  return texts;
}

inline std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      (quoted += '\\') += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      snprintf(code, sizeof code, "\\u%04x", c);
      quoted += code;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace byref
