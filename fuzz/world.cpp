#include "fuzz/world.h"

#include <unistd.h>

#include <cstdlib>
#include <iterator>

#include <fmt/format.h>

#include "face/codec.h"
#include "face/names.h"

namespace sockproof::fuzz {

World::World(Provider* provider, const Ways& ways)
    : provider_(provider), ways_(ways), start_(provider->VirtualClock() ? 0 : provider->Now()) {
  counted_ = provider_->counters().open_handles != nullptr &&
             provider_->counters().open_handles(provider_->self(), &handles_before_) == SP_OK;
}

sp_result World::Make(sp_call* call, const Payload* payload) {
  sp_result result;
  ++done_.calls;
  if (!ways_.record) {
    provider_->Call(call, &result);
    return result;
  }
  TextOptions options;
  options.payload = payload;
  const auto stamp = [this](char mark) {
    return fmt::format("{:06} {:.6f} p0 t0 {} ", number_, static_cast<double>(provider_->Now() - start_) * 1e-9, mark);
  };
  ++number_;
  done_.trace.push_back(stamp('>') + CallText(*call, options));
  provider_->Call(call, &result);
  if (result.error == SP_NOT_SUPPORTED) {  // nothing has happened
    done_.trace.pop_back();
    return result;
  }
  if (result.error == SP_EDEADLK && provider_->VirtualClock()) {
    stuck_ = true;
    done_.outcomes.push_back(std::string(OpName(call->op)) + " never");
    return result;
  }
  // Of what was received its description is enough, where it is what it is said to be.
  done_.trace.push_back(stamp('<') + ResultText(*call, result, options));
  std::string outcome(OpName(call->op));
  outcome += ' ';
  outcome += ErrorName(result.error);
  if (result.error == SP_OK &&
      (call->op == SP_OP_SEND || call->op == SP_OP_RECV || call->op == SP_OP_WATCH_WAIT || call->op == SP_OP_IOCTL)) {
    outcome += fmt::format(" {}", result.value);
  }
  done_.outcomes.push_back(std::move(outcome));
  return result;
}

void World::Remark(const std::string& text) {
  if (!ways_.record) return;
  ++number_;
  done_.trace.push_back(
      fmt::format("{:06} {:.6f} p0 t0 = {}", number_, static_cast<double>(provider_->Now() - start_) * 1e-9, text));
}

void World::Breached(const char* what, const sp_call& call, std::string detail) {
  done_.breaches.push_back({fmt::format("{} {}", what, OpName(call.op)), std::move(detail)});
}

sp_call World::On(uint32_t op, const Held& held) const {
  sp_call call{};
  call.op = op;
  call.handle = held.handle;
  return call;
}

// A place whose socket was closed may be used, to see that it is refused; not when its number was given out again.
bool World::Usable(const Held& held) const {
  if (held.open) return true;
  if (!held.used) return false;
  for (const Held& other : places_) {
    if (other.open && other.handle.value == held.handle.value) return false;
  }
  for (std::size_t i = 0; i < watchers_.size(); ++i) {
    if (watching_[i] && watchers_[i].value == held.handle.value) return false;
  }
  return true;
}

void World::Fill(Held* place, const sp_handle& handle, int64_t flavor, std::optional<Streams::End> end) {
  for (const Held& other : places_) {
    if (other.open && other.handle.value == handle.value && other.handle.kind == handle.kind) {
      done_.breaches.push_back({"contract.handle_twice", fmt::format("{} is open already", HandleText(handle))});
    }
  }
  *place = Held{};
  place->handle = handle;
  place->open = place->used = true;
  place->flavor = flavor;
  place->end = end;
}

void World::Run(const Script& script) {
  for (const Op& op : script) {
    if (stuck_) break;
    Perform(op);
  }
  if (ways_.drain && !stuck_) Drain();
  CloseAll();
}

void World::CloseAll() {
  for (Held& held : places_) {
    if (!held.open) continue;
    held.open = false;
    sp_call call = On(SP_OP_CLOSE, held);
    stuck_ = false;
    // One that would have to wait, because of its linger, stays open.
    if (Make(&call).error != SP_OK) counted_ = false;
  }
  for (std::size_t i = 0; i < watchers_.size(); ++i) {
    if (!watching_[i]) continue;
    sp_call call{};
    call.op = SP_OP_WATCH_CLOSE;
    call.handle = watchers_[i];
    static_cast<void>(Make(&call));
  }
  for (const std::string& path : paths_) ::unlink(path.c_str());
  if (done_.impaired && provider_->network().impair != nullptr) provider_->network().impair(provider_->self(), 0, 0, 0, 0);
  uint64_t left = 0;
  if (counted_ && provider_->counters().open_handles(provider_->self(), &left) == SP_OK && left > handles_before_) {
    done_.breaches.push_back(
        {"contract.handles_released close", fmt::format("{} handles more than at the start", left - handles_before_)});
  }
}

Execution World::Finish() { return std::move(done_); }

}  // namespace sockproof::fuzz
