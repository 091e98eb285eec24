/// \file
/// ByteTrie: finds all keys with which a text begins in one pass over its bytes, as a double array (Aoe 1989).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A map from texts to numbers. A node of the trie is a unit of an array; its child of byte c, if there is one, is the
/// unit base ^ c, whose label is then c. No two nodes with children have the same base, so that the label alone tells
/// whose child a unit is. Immutable; many threads may use one object.
class ByteTrie {
 public:
  struct Key {
    std::string_view text;
    std::int32_t value = 0;
  };
  struct Match {
    std::size_t length = 0;  // 0: none
    std::int32_t value = -1;
  };

  /// No keys.
  ByteTrie() : ByteTrie(std::vector<Key>{}) {}

  /// Values must not be negative. Throws ValueError with `where` for a key that is empty or occurs twice, and if there
  /// are too many bytes for the array.
  explicit ByteTrie(std::vector<Key> keys, std::string_view where = "byte_trie") {
    sort(keys);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      require(!keys[i].text.empty(), where, "a text must not be empty: that with the number ", keys[i].value);
      require(i == 0 || keys[i - 1].text != keys[i].text, where, "a text must occur once: \"", keys[i].text, "\"");
    }
    units_.resize(kBlock);  // base 0, of nodes without children
    if (keys.empty()) return;
    std::string bytes;  // of all texts in their order, so that the builder reads memory from one end to the other
    std::size_t size = 0;
    for (const Key& key : keys) size += key.text.size();
    bytes.reserve(size);
    for (Key& key : keys) {
      bytes += key.text;
      key.text = std::string_view(bytes).substr(bytes.size() - key.text.size());
    }
    Builder(units_, keys, where).build(root_);
  }

  /// Calls use(length, value) for each key with which the text begins, the shortest first.
  template <class Use>
  void walk(std::string_view text, const Use& use) const {
    const Unit* const units = units_.data();
    std::uint32_t base = root_;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      const Unit unit = units[base ^ byte];
      if ((unit.base_and_label & kLabel) != byte) return;
      if (unit.value >= 0) use(i + 1, unit.value);
      base = unit.base_and_label >> kLabelBits;
    }
  }

  /// The longest key with which the text begins.
  [[nodiscard]] Match longest(std::string_view text) const {
    Match found;
    walk(text, [&](std::size_t length, std::int32_t value) { found = {length, value}; });
    return found;
  }
  /// True if a key begins with the byte.
  [[nodiscard]] bool has_first(unsigned char byte) const {
    return (units_[root_ ^ byte].base_and_label & kLabel) == byte;
  }

 private:
  static constexpr std::uint32_t kLabelBits = 9, kLabel = (1u << kLabelBits) - 1, kNoLabel = 256;
  static constexpr std::size_t kBlock = 256, kOpenBlocks = 16;

  /// Sorts by the texts. Most comparisons are of their first 8 bytes, as numbers.
  static void sort(std::vector<Key>& keys) {
    struct Headed {
      std::uint64_t head;
      Key key;
    };
    std::vector<Headed> headed;
    headed.reserve(keys.size());
    for (const Key& key : keys) {
      std::uint64_t head = 0;
      for (std::size_t i = 0; i < 8; ++i) {
        head = head << 8 | (i < key.text.size() ? static_cast<unsigned char>(key.text[i]) : 0u);
      }
      headed.push_back({head, key});
    }
    std::sort(headed.begin(), headed.end(), [](const Headed& a, const Headed& b) {
      return a.head != b.head ? a.head < b.head : a.key.text < b.key.text;
    });
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = headed[i].key;
  }

  struct Unit {
    std::uint32_t base_and_label = kNoLabel;
    std::int32_t value = -1;  // of the key that ends here, or -1
  };

  /// Places the nodes in breadth-first order, so that those near the root lie together. Free units are a list; those of
  /// blocks that are not among the last ones leave it, which bounds the time of a search.
  class Builder {
   public:
    Builder(std::vector<Unit>& units, const std::vector<Key>& keys, std::string_view where)
        : units_(units), keys_(keys), where_(where) {}

    void build(std::uint32_t& root) {
      root = place(0, keys_.size(), 0);
      for (std::size_t next = 0; next < queue_.size(); ++next) {
        const Node node = queue_[next];
        std::size_t begin = node.begin;
        Unit& unit = units_[node.unit];
        if (keys_[begin].text.size() == node.depth) unit.value = keys_[begin++].value;
        if (begin == node.end) continue;
        const std::uint32_t base = place(begin, node.end, node.depth);
        units_[node.unit].base_and_label |= base << kLabelBits;
      }
    }

   private:
    struct Node {
      std::size_t begin, end, depth, unit;  // the keys with the same first `depth` bytes
    };

    /// Gives units to the children of a node with the keys [begin, end) and returns their base.
    std::uint32_t place(std::size_t begin, std::size_t end, std::size_t depth) {
      labels_.clear();
      for (std::size_t i = begin; i < end; ++i) {
        const auto label = static_cast<unsigned char>(keys_[i].text[depth]);
        if (labels_.empty() || labels_.back() != label) labels_.push_back(label);
      }
      const std::uint32_t base = find_base();
      is_base_[base - kBlock] = true;
      std::size_t from = begin;
      for (const unsigned char label : labels_) {
        std::size_t to = from;
        while (to < end && static_cast<unsigned char>(keys_[to].text[depth]) == label) ++to;
        take(base ^ label);
        units_[base ^ label].base_and_label = label;
        queue_.push_back({from, to, depth + 1, base ^ label});
        from = to;
      }
      return base;
    }

    [[nodiscard]] std::uint32_t find_base() {
      for (std::uint32_t at = first_; at != 0; at = next_[at - kBlock]) {
        const std::uint32_t base = at ^ labels_[0];
        if (is_base_[base - kBlock]) continue;
        if (std::all_of(labels_.begin(), labels_.end(),
                        [&](unsigned char label) { return units_[base ^ label].base_and_label == kNoLabel; })) {
          return base;
        }
      }
      return add_block();
    }

    /// The first unit of a new block, all of whose units are free.
    std::uint32_t add_block() {
      const std::size_t begin = units_.size();
      require(begin + kBlock <= std::size_t{1} << (32 - kLabelBits), where_,
              "the texts have too many different beginnings: more than ", begin);
      units_.resize(begin + kBlock);
      is_base_.resize(begin);
      next_.resize(begin);
      previous_.resize(begin);
      for (std::size_t i = begin; i < begin + kBlock; ++i) append(static_cast<std::uint32_t>(i));
      const std::size_t closed = begin - std::min(begin, kOpenBlocks * kBlock);
      while (first_ != 0 && first_ < closed) take(first_);
      return static_cast<std::uint32_t>(begin);
    }

    void append(std::uint32_t at) {
      previous_[at - kBlock] = last_;
      (last_ == 0 ? first_ : next_[last_ - kBlock]) = at;
      last_ = at;
    }
    /// Removes a unit from the list if it is there.
    void take(std::uint32_t at) {
      std::uint32_t &next = next_[at - kBlock], &previous = previous_[at - kBlock];
      if (next == 0 && previous == 0 && first_ != at) return;
      (previous == 0 ? first_ : next_[previous - kBlock]) = next;
      (next == 0 ? last_ : previous_[next - kBlock]) = previous;
      next = previous = 0;
    }

    std::vector<Unit>& units_;
    const std::vector<Key>& keys_;
    std::string_view where_;
    std::vector<Node> queue_;
    std::vector<unsigned char> labels_;
    // For each unit behind the first block: whether it is a base, and its neighbours in the list of free units.
    std::vector<bool> is_base_;
    std::vector<std::uint32_t> next_, previous_;
    std::uint32_t first_ = 0, last_ = 0;  // of the list; 0 if it is empty
  };

  std::vector<Unit> units_;
  std::uint32_t root_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
