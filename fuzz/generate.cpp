#include "fuzz/generate.h"

#include <algorithm>
#include <array>
#include <vector>

#include "fuzz/places.h"

namespace sockproof::fuzz {

uint64_t Lot::Next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

namespace {

enum class State { kEmpty, kFresh, kBound, kListening, kConnecting, kConnected, kGone };

// What would be where, if every operation went well: a guess, and good enough to choose the next one by.
class Sketch {
 public:
  void See(const Op& op);
  Op Next(Lot* lot, Bent bent);

 private:
  struct Place {
    State state = State::kEmpty;
    uint8_t flavor = 0;
    uint8_t to = 0;
    int waiting = 0;  // connections that nobody has accepted
  };
  // One of the places in one of these states; -1 if there is none.
  int Find(Lot* lot, std::initializer_list<State> states) const;
  Op Made(Kind kind, Lot* lot) const;

  std::array<Place, kSockets> places_;
  std::array<bool, kWatchers> watching_{};
};

int Sketch::Find(Lot* lot, std::initializer_list<State> states) const {
  const std::size_t start = lot->Below(kSockets);
  for (std::size_t i = 0; i < kSockets; ++i) {
    const std::size_t at = (start + i) % kSockets;
    if (std::find(states.begin(), states.end(), places_[at].state) != states.end()) return static_cast<int>(at);
  }
  return -1;
}

void Sketch::See(const Op& op) {
  const auto place = [&](std::size_t field) -> Place& { return places_[static_cast<std::size_t>(op.Number(field))]; };
  switch (op.kind) {
    case Kind::kSocket:
      if (place(0).state == State::kEmpty || place(0).state == State::kGone) place(0) = {State::kFresh, op.choice[1], 0, 0};
      break;
    case Kind::kPair:
      place(0) = place(1) = {State::kConnected, static_cast<uint8_t>(op.Number(2) == 1 ? kUnix : kSeqpacket), 0, 0};
      break;
    case Kind::kBind:
      if (place(0).state == State::kFresh) place(0).state = State::kBound;
      break;
    case Kind::kListen:
      if (place(0).state == State::kBound || place(0).state == State::kFresh) place(0).state = State::kListening;
      break;
    case Kind::kConnect:
      if (place(0).state == State::kFresh || place(0).state == State::kBound) {
        place(0).state = State::kConnected;
        if (op.Number(1) == kOfPlace) ++places_[static_cast<std::size_t>(op.Of(1).more)].waiting;
      }
      break;
    case Kind::kAccept:
      if (place(1).state == State::kListening) {
        place(0) = {State::kConnected, place(1).flavor, 0, 0};
        if (place(1).waiting > 0) --place(1).waiting;
      }
      break;
    case Kind::kDuplicate:
      place(0) = place(1);
      break;
    case Kind::kClose:
      place(0) = {State::kGone, 0, 0, 0};
      break;
    case Kind::kWatchCreate:
    case Kind::kWatchClose:
      watching_[static_cast<std::size_t>(op.Number(0))] = op.kind == Kind::kWatchCreate;
      break;
    default:
      break;
  }
}

// Choices by lot, the first ones of each list more often than the others.
Op Sketch::Made(Kind kind, Lot* lot) const {
  Op op;
  op.kind = kind;
  const std::vector<Field>& fields = FormOf(kind).fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t count = fields[i].domain->count;
    op.choice[i] = static_cast<uint8_t>(lot->Below(lot->OneIn(3) ? count : (count + 1) / 2));
  }
  // What is wrong on purpose ends most of what could follow from it.
  if ((kind == Kind::kSend || kind == Kind::kRecv) && !lot->OneIn(12)) op.choice[6] = 0;
  if (kind == Kind::kAccept && !lot->OneIn(6)) op.choice[4] = 0;
  return op;
}

Op Sketch::Next(Lot* lot, Bent bent) {
  const int empty = Find(lot, {State::kEmpty, State::kGone});
  const int fresh = Find(lot, {State::kFresh});
  const int bound = Find(lot, {State::kBound});
  const int listening = Find(lot, {State::kListening});
  const int connected = Find(lot, {State::kConnected});
  const int any = Find(lot, {State::kFresh, State::kBound, State::kListening, State::kConnected});
  int waiting = -1;
  for (int i = 0; i < kSockets; ++i) {
    if (places_[static_cast<std::size_t>(i)].waiting > 0) waiting = i;
  }
  const auto on = [&](Kind kind, int place, std::size_t field = 0) {
    Op op = Made(kind, lot);
    op.choice[field] = static_cast<uint8_t>(place);
    return op;
  };
  const bool data = bent == Bent::kData;
  for (int tries = 0; tries < 40; ++tries) {
    switch (lot->Below(24)) {
      case 0:
      case 1:
        if (empty < 0) break;
        {
          Op op = on(Kind::kSocket, empty);
          // Most often of a kind that is there already, so that the two can meet.
          if (any >= 0 && !lot->OneIn(8)) op.choice[1] = places_[static_cast<std::size_t>(any)].flavor;
          return op;
        }
      case 2:
        if (empty < 0 || !lot->OneIn(data ? 2 : 6)) break;
        {
          Op op = on(Kind::kPair, empty);
          const int second = Find(lot, {State::kEmpty, State::kGone});
          op.choice[1] = static_cast<uint8_t>(second);
          if (second != empty) return op;
          break;
        }
      case 3:
      case 4:
        if (fresh < 0) break;
        {
          Op op = on(Kind::kBind, fresh);
          if (!lot->OneIn(4)) op.choice[1] = 0;
          return op;
        }
      case 5:
      case 6:
        if (bound >= 0) return on(Kind::kListen, bound);
        if (fresh >= 0 && lot->OneIn(4)) return on(Kind::kListen, fresh);
        break;
      case 7:
      case 8:
      case 9:
        if (fresh < 0) break;
        {
          Op op = on(Kind::kConnect, fresh);
          // The list of places begins with those of the sockets.
          if (listening >= 0 && !lot->OneIn(6)) op.choice[1] = static_cast<uint8_t>(listening);
          return op;
        }
      case 10:
      case 11:
      case 12:
        if (empty < 0 || (waiting < 0 && (listening < 0 || !lot->OneIn(3)))) break;
        {
          Op op = on(Kind::kAccept, empty);
          op.choice[1] = static_cast<uint8_t>(waiting >= 0 ? waiting : listening);
          return op;
        }
      case 13:
      case 14:
        if (connected >= 0) return on(Kind::kSend, connected);
        break;
      case 15:
      case 16:
        if (connected >= 0) return on(Kind::kRecv, connected);
        break;
      case 17:
        if (any < 0) break;
        if (lot->OneIn(2)) return on(Kind::kShutdown, connected >= 0 ? connected : any);
        return on(Kind::kClose, any);
      case 18:
        if (any < 0 || (data && !lot->OneIn(3))) break;
        return on(lot->OneIn(2) ? Kind::kSet : Kind::kGet, any);
      case 19:
        if (any < 0) break;
        if (lot->OneIn(3)) return on(lot->OneIn(2) ? Kind::kLocalName : Kind::kPeerName, any);
        return on(Kind::kReady, any);
      case 20:
        if (data && connected >= 0) return on(lot->OneIn(2) ? Kind::kSend : Kind::kRecv, connected);
        if (any >= 0 && lot->OneIn(3)) return on(lot->OneIn(2) ? Kind::kMode : Kind::kIoctl, any);
        if (any >= 0 && empty >= 0 && lot->OneIn(4)) {
          Op op = on(Kind::kDuplicate, empty);
          op.choice[1] = static_cast<uint8_t>(any);
          return op;
        }
        break;
      case 21:
        if (data && !lot->OneIn(4)) break;
        for (std::size_t i = 0; i < kWatchers; ++i) {
          const int watcher = static_cast<int>(i);
          if (!watching_[i] && lot->OneIn(2)) return on(Kind::kWatchCreate, watcher);
          if (!watching_[i] || any < 0) continue;
          const std::size_t which = lot->Below(8);
          if (which < 4) return on(Kind::kWatchWait, watcher);
          Op op = on(which == 7 ? Kind::kWatchRemove : which == 6 ? Kind::kWatchModify : Kind::kWatchAdd, watcher);
          op.choice[1] = static_cast<uint8_t>(any);
          return op;
        }
        break;
      case 22:
        if (lot->OneIn(3)) return Made(Kind::kClock, lot);
        break;
      default:
        if (any < 0 || !lot->OneIn(20)) break;
        if (lot->OneIn(2)) return Made(Kind::kImpair, lot);
        return on(Kind::kSilence, any);
    }
  }
  return Made(static_cast<Kind>(lot->Below(static_cast<std::size_t>(Kind::kCount))), lot);
}

Sketch Seen(const Script& script, std::size_t until) {
  Sketch sketch;
  for (std::size_t i = 0; i < until; ++i) sketch.See(script[i]);
  return sketch;
}

// A few operations that follow from what is there, put in at `at`.
void Insert(Lot* lot, Bent bent, Script* script, std::size_t at, std::size_t count) {
  Sketch sketch = Seen(*script, at);
  for (std::size_t i = 0; i < count && script->size() < kMostOps; ++i, ++at) {
    const Op op = sketch.Next(lot, bent);
    sketch.See(op);
    script->insert(script->begin() + static_cast<int64_t>(at), op);
  }
}

// A connection of two ends, the way there is most of: what a lot takes long to come by.
void InsertConnection(Lot* lot, Script* script, std::size_t at) {
  if (script->size() + 6 > kMostOps) return;
  const auto flavor = static_cast<uint8_t>(lot->Below(lot->OneIn(3) ? 9 : 3));
  const std::size_t first = lot->Below(kSockets);
  const auto place = [&](std::size_t i) { return static_cast<uint8_t>((first + i) % kSockets); };
  const auto op = [](Kind kind, std::initializer_list<uint8_t> choices) {
    Op made;
    made.kind = kind;
    std::copy(choices.begin(), choices.end(), made.choice.begin());
    return made;
  };
  const Script connection = {op(Kind::kSocket, {place(0), flavor}),
                             op(Kind::kBind, {place(0), 0}),
                             op(Kind::kListen, {place(0), static_cast<uint8_t>(lot->Below(6))}),
                             op(Kind::kSocket, {place(1), flavor}),
                             op(Kind::kConnect, {place(1), place(0)}),
                             op(Kind::kAccept, {place(2), place(0), static_cast<uint8_t>(lot->Below(2))})};
  script->insert(script->begin() + static_cast<int64_t>(at), connection.begin(), connection.end());
}

void Change(Lot* lot, Op* op) {
  const std::vector<Field>& fields = FormOf(op->kind).fields;
  const std::size_t field = lot->Below(fields.size());
  op->choice[field] = static_cast<uint8_t>(lot->Below(fields[field].domain->count));
}

}  // namespace

Script Generate(Lot* lot, Bent bent, std::size_t length) {
  Script script;
  if (!lot->OneIn(4)) InsertConnection(lot, &script, 0);
  if (script.size() < length) Insert(lot, bent, &script, script.size(), length - script.size());
  return script;
}

void Mutate(Lot* lot, Bent bent, Script* script) {
  if (script->size() < 3) {
    *script = Generate(lot, bent, 6 + lot->Below(20));
    return;
  }
  for (std::size_t changes = 1 + lot->Below(4); changes > 0 && !script->empty(); --changes) {
    const std::size_t at = lot->Below(script->size());
    const auto here = script->begin() + static_cast<int64_t>(at);
    switch (lot->Below(12)) {
      case 0:
      case 1:
        Insert(lot, bent, script, at, 1 + lot->Below(3));
        break;
      case 2:
      case 3:
      case 4:
        Insert(lot, bent, script, script->size(), 1 + lot->Below(10));
        break;
      case 5:
      case 6: {
        const std::size_t count = std::min(lot->OneIn(4) ? 1 + lot->Below(8) : std::size_t{1}, script->size() - at);
        script->erase(here, here + static_cast<int64_t>(count));
        break;
      }
      case 7:
      case 8:
        Change(lot, &*here);
        break;
      case 9: {  // again, further down
        if (script->size() >= kMostOps) break;
        const Op again = *here;
        script->insert(script->begin() + static_cast<int64_t>(at + lot->Below(script->size() - at)), again);
        break;
      }
      case 10:
        std::swap(*here, (*script)[lot->Below(script->size())]);
        break;
      default:
        InsertConnection(lot, script, lot->OneIn(2) ? 0 : at);
    }
  }
}

Script CrossOver(Lot* lot, const Script& a, const Script& b) {
  if (a.empty() || b.empty()) return a.empty() ? b : a;
  Script made;
  if (lot->OneIn(2)) {
    made.assign(a.begin(), a.begin() + static_cast<int64_t>(1 + lot->Below(a.size())));
    made.insert(made.end(), b.begin() + static_cast<int64_t>(lot->Below(b.size())), b.end());
  } else {
    // Both at once, each in its order.
    for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
      const bool first = j == b.size() || (i < a.size() && lot->OneIn(2));
      made.push_back(first ? a[i++] : b[j++]);
    }
  }
  if (made.size() > kMostOps) made.resize(kMostOps);
  return made;
}

}  // namespace sockproof::fuzz
