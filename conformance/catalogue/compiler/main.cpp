// Turns the catalogue (conformance/catalogue/*.toml) into C++: a header of ids for each area and one table of data.
//
//     catalogue-compiler OUTPUT_DIRECTORY FILE.toml...
//
// Anything that is not of the form that docs/architecture.md gives is refused with file, line and reason: exit code 1. A header
// is rewritten only when its content changes, so a reworded sentence compiles one file, not the battery.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "face/names.h"

namespace {

struct Place {
  std::string file;
  uint32_t line = 0;
};

class Refused {
 public:
  Refused(const Place& place, const std::string& reason) : text_(fmt::format("{}:{}: {}", place.file, place.line, reason)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct OutcomeDef {
  std::string name, text;
  Place place;
};
struct EntryDef {
  std::string level;
  std::vector<std::string> allow, cite;
  Place place;
};
struct RequirementDef {
  std::string id, text;
  std::vector<std::string> needs;
  std::map<std::string, EntryDef> entries;
  Place place;
};
struct AreaDef {
  std::string area, suite, title;
  std::vector<OutcomeDef> outcomes;
  std::vector<RequirementDef> requirements;
  Place place;
};
struct ProfileDef {
  std::string name, text, inherits;
  std::vector<std::string> options, capabilities;
  Place place;
};

Place PlaceOf(const std::string& file, const toml::node& node) { return {file, node.source().begin.line}; }

bool IsIdentifier(const std::string& text) {
  if (text.empty() || text[0] < 'a' || text[0] > 'z') return false;
  for (const char c : text) {
    if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) return false;
  }
  static const std::set<std::string> kKeywords = {
      "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class",
      "compl", "concept", "const", "consteval", "constexpr", "constinit", "const_cast", "continue", "co_await", "co_return",
      "co_yield", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern",
      "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not",
      "not_eq", "nullptr", "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast",
      "requires", "return", "short", "signed", "sizeof", "static", "static_assert", "static_cast", "struct", "switch", "template",
      "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual",
      "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
      // macros of compilers
      "linux", "unix"};
  return kKeywords.count(text) == 0;
}

// The name of a profile as part of a C++ name.
std::string Identifier(std::string profile) {
  for (char& c : profile) {
    if (c == '-') c = '_';
  }
  return profile;
}

// Reads a table whose keys are all known.
class Reader {
 public:
  Reader(std::string file, const toml::table& table, std::set<std::string> known) : file_(std::move(file)), table_(table) {
    for (const auto& [key, value] : table) {
      if (known.count(std::string(key.str())) == 0) {
        throw Refused({file_, key.source().begin.line}, fmt::format("unknown key '{}'", key.str()));
      }
    }
  }
  Place place() const { return PlaceOf(file_, table_); }
  Place place(const char* key) const { return table_.contains(key) ? PlaceOf(file_, *table_.get(key)) : place(); }

  std::string Text(const char* key, bool required = true) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) {
      if (required) throw Refused(place(), fmt::format("'{}' is missing", key));
      return {};
    }
    const auto* text = node->as_string();
    if (text == nullptr || text->get().empty()) throw Refused(PlaceOf(file_, *node), fmt::format("'{}' must be text", key));
    return text->get();
  }
  std::vector<std::string> Texts(const char* key, bool required) const {
    const toml::node* node = table_.get(key);
    if (node == nullptr) {
      if (required) throw Refused(place(), fmt::format("'{}' is missing", key));
      return {};
    }
    std::vector<std::string> texts;
    const auto* array = node->as_array();
    if (array == nullptr) throw Refused(PlaceOf(file_, *node), fmt::format("'{}' must be a list of texts", key));
    for (const toml::node& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr || text->get().empty()) throw Refused(PlaceOf(file_, item), fmt::format("'{}' must hold texts", key));
      for (const std::string& other : texts) {
        if (other == text->get()) throw Refused(PlaceOf(file_, item), fmt::format("'{}' stands twice in '{}'", other, key));
      }
      texts.push_back(text->get());
    }
    if (texts.empty()) throw Refused(PlaceOf(file_, *node), fmt::format("'{}' is empty", key));
    return texts;
  }
  std::vector<const toml::table*> Tables(const char* key) const {
    std::vector<const toml::table*> tables;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return tables;
    const auto* array = node->as_array();
    if (array == nullptr) throw Refused(PlaceOf(file_, *node), fmt::format("write [[{}]]", key));
    for (const toml::node& item : *array) {
      if (item.as_table() == nullptr) throw Refused(PlaceOf(file_, item), fmt::format("write [[{}]]", key));
      tables.push_back(item.as_table());
    }
    return tables;
  }

 private:
  std::string file_;
  const toml::table& table_;
};

OutcomeDef ReadOutcome(const std::string& file, const toml::table& table) {
  const Reader reader(file, table, {"name", "text"});
  OutcomeDef outcome{reader.Text("name"), reader.Text("text"), reader.place()};
  if (!IsIdentifier(outcome.name)) throw Refused(reader.place("name"), fmt::format("'{}' is no lower_case name", outcome.name));
  if (outcome.name == "ok" || sockproof::ErrorByName(outcome.name)) {
    throw Refused(reader.place("name"), fmt::format("'{}' is an outcome already", outcome.name));
  }
  return outcome;
}

class Compiler {
 public:
  void Read(const std::filesystem::path& path) {
    const std::string file = path.filename().string();
    toml::table table;
    try {
      table = toml::parse_file(path.string());
    } catch (const toml::parse_error& error) {
      throw Refused({file, error.source().begin.line}, std::string(error.description()));
    }
    std::ifstream stream(path, std::ios::binary);
    std::stringstream text;
    text << stream.rdbuf();
    for (const char c : file + '\n' + text.str()) digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    if (file == "profiles.toml") {
      ReadProfiles(file, table);
    } else if (file == "outcomes.toml") {
      const Reader reader(file, table, {"outcome"});
      for (const toml::table* item : reader.Tables("outcome")) AddOutcome(&shared_, ReadOutcome(file, *item));
    } else {
      areas_.push_back(ReadArea(file, table));
    }
  }

  void Check() const {
    if (profiles_.empty()) throw Refused({"profiles.toml", 1}, "there is no profile");
    std::set<std::string> names;
    for (const ProfileDef& profile : profiles_) {
      if (!profile.inherits.empty() && names.count(profile.inherits) == 0) {
        throw Refused(profile.place, fmt::format("inherits '{}', which is not defined above it", profile.inherits));
      }
      if (!names.insert(profile.name).second)
        throw Refused(profile.place, fmt::format("profile '{}' stands twice", profile.name));
    }
    std::map<std::string, Place> areas, suites;
    for (const AreaDef& area : areas_) {
      if (const auto [other, fresh] = areas.emplace(area.area, area.place); !fresh) {
        throw Refused(area.place, fmt::format("area '{}' is also in {}", area.area, other->second.file));
      }
      if (const auto [other, fresh] = suites.emplace(area.suite, area.place); !fresh) {
        throw Refused(area.place, fmt::format("suite '{}' is also in {}", area.suite, other->second.file));
      }
      for (const OutcomeDef& outcome : area.outcomes) {
        if (Declared(shared_, outcome.name))
          throw Refused(outcome.place, fmt::format("'{}' is in outcomes.toml already", outcome.name));
      }
      std::map<std::string, Place> ids;
      for (const RequirementDef& requirement : area.requirements) {
        if (const auto [other, fresh] = ids.emplace(requirement.id, requirement.place); !fresh) {
          throw Refused(requirement.place,
                        fmt::format("id '{}' stands twice, first in line {}", requirement.id, other->second.line));
        }
        if (requirement.entries.empty()) throw Refused(requirement.place, "no profile has an entry");
        for (const auto& [profile, entry] : requirement.entries) {
          if (names.count(profile) == 0) throw Refused(entry.place, fmt::format("there is no profile '{}'", profile));
          for (const std::string& outcome : entry.allow) CheckOutcome(area, entry, outcome);
        }
      }
    }
  }

  void Write(const std::filesystem::path& directory) const {
    std::filesystem::create_directories(directory);
    for (const AreaDef& area : areas_) WriteIfChanged(directory / (area.area + ".h"), Header(area));
    WriteIfChanged(directory / "outcomes.h", OutcomesHeader());
    WriteIfChanged(directory / "catalogue_data.cpp", Data());
  }

 private:
  void ReadProfiles(const std::string& file, const toml::table& table) {
    const Reader reader(file, table, {"profile"});
    for (const toml::table* item : reader.Tables("profile")) {
      const Reader profile(file, *item, {"name", "text", "inherits", "options", "capabilities"});
      ProfileDef def{profile.Text("name"),
                     profile.Text("text"),
                     profile.Text("inherits", false),
                     profile.Texts("options", false),
                     profile.Texts("capabilities", false),
                     profile.place()};
      if (!IsIdentifier("profile_" + Identifier(def.name)))
        throw Refused(profile.place("name"), fmt::format("'{}' is no lower-case name", def.name));
      for (const std::string& option : def.options) {
        if (!sockproof::OptionByName(option))
          throw Refused(profile.place("options"), fmt::format("there is no option '{}'", option));
      }
      for (const std::string& capability : def.capabilities) CheckCapability(profile.place("capabilities"), capability);
      for (const ProfileDef& parent : profiles_) {
        if (parent.name != def.inherits) continue;
        def.options.insert(def.options.end(), parent.options.begin(), parent.options.end());
        def.capabilities.insert(def.capabilities.end(), parent.capabilities.begin(), parent.capabilities.end());
      }
      profiles_.push_back(std::move(def));
    }
  }

  static void AddOutcome(std::vector<OutcomeDef>* list, OutcomeDef outcome) {
    if (Declared(*list, outcome.name)) throw Refused(outcome.place, fmt::format("outcome '{}' stands twice", outcome.name));
    list->push_back(std::move(outcome));
  }

  AreaDef ReadArea(const std::string& file, const toml::table& table) const {
    const Reader reader(file, table, {"area", "suite", "title", "outcome", "requirement"});
    AreaDef area{reader.Text("area"), reader.Text("suite"), reader.Text("title"), {}, {}, {file, 1}};
    if (!IsIdentifier(area.area)) throw Refused(reader.place("area"), fmt::format("'{}' is no lower_case name", area.area));
    if (area.area + ".toml" != file)
      throw Refused(reader.place("area"), fmt::format("area '{}' belongs into {}.toml", area.area, area.area));
    for (const toml::table* item : reader.Tables("outcome")) AddOutcome(&area.outcomes, ReadOutcome(file, *item));
    for (const toml::table* item : reader.Tables("requirement")) area.requirements.push_back(ReadRequirement(file, *item));
    if (area.requirements.empty()) throw Refused(area.place, "there is no requirement");
    return area;
  }

  RequirementDef ReadRequirement(const std::string& file, const toml::table& table) const {
    std::set<std::string> known = {"id", "text", "needs"};
    for (const ProfileDef& profile : profiles_) known.insert(profile.name);
    const Reader reader(file, table, known);
    RequirementDef requirement{reader.Text("id"), reader.Text("text"), reader.Texts("needs", false), {}, reader.place()};
    if (!IsIdentifier(requirement.id))
      throw Refused(reader.place("id"), fmt::format("'{}' is no lower_case name", requirement.id));
    for (const std::string& need : requirement.needs) CheckCapability(reader.place("needs"), need);
    for (const ProfileDef& profile : profiles_) {
      const toml::node* node = table.get(profile.name);
      if (node == nullptr) continue;
      if (node->as_table() == nullptr) throw Refused(PlaceOf(file, *node), fmt::format("write [requirement.{}]", profile.name));
      const Reader entry(file, *node->as_table(), {"level", "allow", "cite"});
      EntryDef def{entry.Text("level"), entry.Texts("allow", true), entry.Texts("cite", true), entry.place()};
      if (def.level != "MUST" && def.level != "SHOULD" && def.level != "MAY" && def.level != "OBSERVED") {
        throw Refused(entry.place("level"), fmt::format("level '{}' is none of MUST, SHOULD, MAY, OBSERVED", def.level));
      }
      requirement.entries.emplace(profile.name, std::move(def));
    }
    return requirement;
  }

  static void CheckCapability(const Place& place, const std::string& name) {
    for (int32_t i = 0; i < SP_CAP_COUNT; ++i) {
      if (sockproof::CapabilityName(i) == name) return;
    }
    throw Refused(place, fmt::format("there is no capability '{}'", name));
  }

  static bool Declared(const std::vector<OutcomeDef>& list, const std::string& name) {
    for (const OutcomeDef& outcome : list) {
      if (outcome.name == name) return true;
    }
    return false;
  }

  void CheckOutcome(const AreaDef& area, const EntryDef& entry, const std::string& outcome) const {
    if (sockproof::ErrorByName(outcome) || Declared(area.outcomes, outcome) || Declared(shared_, outcome)) return;
    if (outcome.size() > 1 && outcome[0] == '=' &&
        outcome.find_first_not_of("0123456789", outcome[1] == '-' ? 2 : 1) == std::string::npos)
      return;
    throw Refused(entry.place,
                  fmt::format("outcome '{}' does not exist: it is no error name, no =N, and declared neither here nor in "
                              "outcomes.toml",
                              outcome));
  }

  static std::string Quote(const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      if (c == '\n') {
        quoted += "\\n";
        continue;
      }
      if (c == '?') {  // no trigraphs
        quoted += "\\?";
        continue;
      }
      quoted += c;
    }
    return quoted + '"';
  }

  static std::string OutcomeConstants(const std::vector<OutcomeDef>& outcomes) {
    std::string text;
    for (const OutcomeDef& outcome : outcomes) {
      std::string comment = outcome.text;
      for (char& c : comment) {
        if (c == '\n' || c == '\r' || c == '\\') c = ' ';  // what would end the comment, or make it longer
      }
      text += fmt::format("// {}\ninline constexpr OutcomeName {}{{\"{}\"}};\n", comment, outcome.name, outcome.name);
    }
    return text;
  }

  static std::string Header(const AreaDef& area) {
    std::string text = fmt::format(
        "// Made by catalogue-compiler from {}.toml.\n#pragma once\n\n#include \"catalogue/outcomes.h\"\n"
        "#include \"catalogue/requirement.h\"\n\nnamespace sockproof::{} {{\n",
        area.area, area.area);
    for (const RequirementDef& requirement : area.requirements)
      text += fmt::format("extern const Requirement {};\n", requirement.id);
    text += fmt::format("}}  // namespace sockproof::{}\n", area.area);
    if (!area.outcomes.empty()) {
      text += fmt::format("namespace sockproof::outcome {{\ninline namespace of_{} {{\n{}}}\n}}\n", area.area,
                          OutcomeConstants(area.outcomes));
    }
    return text;
  }

  std::string OutcomesHeader() const {
    return "// Made by catalogue-compiler from outcomes.toml.\n#pragma once\n\n#include \"face/outcome.h\"\n\nnamespace "
           "sockproof::outcome {\n" +
           OutcomeConstants(shared_) + "}  // namespace sockproof::outcome\n";
  }

  static std::string List(std::string* data, const std::string& name, const std::vector<std::string>& texts) {
    if (texts.empty()) return "{nullptr, 0}";
    *data += fmt::format("constexpr const char* {}[] = {{", name);
    for (const std::string& text : texts) *data += Quote(text) + ", ";
    *data += "};\n";
    return fmt::format("{{{}, {}}}", name, texts.size());
  }

  static const char* LevelConstant(const std::string& level) {
    if (level == "MUST") return "Level::kMust";
    if (level == "SHOULD") return "Level::kShould";
    return level == "MAY" ? "Level::kMay" : "Level::kObserved";
  }

  std::string Data() const {
    std::string text =
        "// Made by catalogue-compiler.\n#include \"catalogue/capabilities.h\"\n#include \"catalogue/requirement.h\"\n";
    for (const AreaDef& area : areas_) text += fmt::format("#include \"catalogue/{}.h\"\n", area.area);
    text += "\nnamespace sockproof {\nnamespace {\n";
    std::string definitions, pointers;
    std::size_t count = 0;
    for (const AreaDef& area : areas_) {
      definitions += fmt::format("namespace {} {{\n", area.area);
      for (const RequirementDef& requirement : area.requirements) {
        const std::string base = fmt::format("{}_{}", area.area, requirement.id);
        for (const auto& [profile, entry] : requirement.entries) {
          const std::string name = fmt::format("{}_{}", base, Identifier(profile));
          const std::string allow = List(&text, name + "_allow", entry.allow);
          const std::string cite = List(&text, name + "_cite", entry.cite);
          text +=
              fmt::format("constexpr Entry {}{{\"{}\", {}, {}, {}}};\n", name, profile, LevelConstant(entry.level), allow, cite);
        }
        text += fmt::format("constexpr const Entry* {}_entries[] = {{", base);
        for (const ProfileDef& profile : profiles_) text += EntryFor(requirement, base, profile) + ", ";
        text += "};\n";
        const std::string needs = List(&text, base + "_needs", requirement.needs);
        definitions += fmt::format("const Requirement {}{{\"{}.{}\", \"{}\", {}, {}, {}_entries}};\n", requirement.id, area.area,
                                   requirement.id, area.area, Quote(requirement.text), needs, base);
        pointers += fmt::format("    &{}::{},\n", area.area, requirement.id);
        ++count;
      }
      definitions += fmt::format("}}  // namespace {}\n", area.area);
    }
    std::map<std::string, std::string> options, capabilities;
    for (const ProfileDef& profile : profiles_) {
      options[profile.name] = List(&text, fmt::format("profile_{}_options", Identifier(profile.name)), profile.options);
      capabilities[profile.name] =
          List(&text, fmt::format("profile_{}_capabilities", Identifier(profile.name)), profile.capabilities);
    }
    text += "}  // namespace\n\n" + definitions + "\nnamespace {\nconstexpr Profile all_profiles[] = {\n";
    for (const ProfileDef& profile : profiles_) {
      text += fmt::format("    {{\"{}\", {}, {}, {}}},\n", profile.name, Quote(profile.text),
                          profile.inherits.empty() ? "nullptr" : Quote(profile.inherits), options[profile.name]);
    }
    text += "};\nconstexpr TextList all_capabilities[] = {\n";
    for (const ProfileDef& profile : profiles_) text += fmt::format("    {},\n", capabilities[profile.name]);
    text += "};\nconstexpr Area all_areas[] = {\n";
    for (const AreaDef& area : areas_)
      text += fmt::format("    {{\"{}\", \"{}\", {}}},\n", area.area, area.suite, Quote(area.title));
    text += "};\nconst Requirement* const all_requirements[] = {\n" + pointers + "};\n}  // namespace\n\n";
    text += "const TextList* const kProfileCapabilities = all_capabilities;\n\n";
    text += fmt::format(
        "const Catalogue& TheCatalogue() {{\n  static const Catalogue catalogue{{all_profiles, {}, all_areas, {}, "
        "all_requirements, {}, "
        "\"{:016x}\"}};\n  return catalogue;\n}}\n\n}}  // namespace sockproof\n",
        profiles_.size(), areas_.size(), count, digest_);
    return text;
  }

  std::string EntryFor(const RequirementDef& requirement, const std::string& base, ProfileDef profile) const {
    while (requirement.entries.count(profile.name) == 0) {
      if (profile.inherits.empty()) return "nullptr";
      for (const ProfileDef& parent : profiles_) {
        if (parent.name == profile.inherits) {
          profile = parent;
          break;
        }
      }
    }
    return fmt::format("&{}_{}", base, Identifier(profile.name));
  }

  static void WriteIfChanged(const std::filesystem::path& path, const std::string& content) {
    {
      std::ifstream old(path, std::ios::binary);
      std::stringstream text;
      text << old.rdbuf();
      if (old && text.str() == content) return;
    }
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << content;
    out.close();
    if (!out) throw Refused({path.string(), 0}, "cannot be written");
  }

  std::vector<ProfileDef> profiles_;
  std::vector<OutcomeDef> shared_;
  std::vector<AreaDef> areas_;
  uint64_t digest_ = 0xcbf29ce484222325u;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: catalogue-compiler OUTPUT_DIRECTORY FILE.toml...\n";
    return 2;
  }
  try {
    Compiler compiler;
    std::vector<std::filesystem::path> files(argv + 2, argv + argc);
    // profiles.toml first: it says which entries a requirement may have.
    for (const std::filesystem::path& file : files) {
      if (file.filename() == "profiles.toml") compiler.Read(file);
    }
    for (const std::filesystem::path& file : files) {
      if (file.filename() != "profiles.toml") compiler.Read(file);
    }
    compiler.Check();
    compiler.Write(argv[1]);
  } catch (const Refused& refused) {
    std::cerr << refused.text() << '\n';
    return 1;
  }
  return 0;
}
