// SPDX-License-Identifier: BSD-3-Clause
// The pending events of ns3_datapath.pyx in ns-3's Simulator, through its public interface alone.
//
// A tick of ns-3's clock is a part of a picosecond here: ticks are the engines' keys, a time in
// picoseconds with the slot below it. ns-3 would take events of one time in the order in which they
// were scheduled, the model takes them by slot; with keys for ticks no two events have one time.

#include <cstdint>
#include <vector>

#include <ns3/event-id.h>
#include <ns3/nstime.h>
#include <ns3/simulator.h>

namespace
{
using Fire = void (*)(void*, int64_t);

void* g_machine;
Fire g_fire;
std::vector<ns3::EventId> g_pending;

void
Happen(int64_t slot)
{
    g_fire(g_machine, slot);
}
} // namespace

extern "C"
{
    void ns3_begin(void* machine, Fire fire, int64_t slots)
    {
        g_machine = machine;
        g_fire = fire;
        g_pending.assign(slots, ns3::EventId());
    }

    void ns3_schedule(int64_t slot, uint64_t key)
    {
        const auto delay = ns3::Time(static_cast<int64_t>(key)) - ns3::Simulator::Now();
        g_pending[slot] = ns3::Simulator::Schedule(delay, &Happen, slot);
    }

    void ns3_cancel(int64_t slot)
    {
        ns3::Simulator::Cancel(g_pending[slot]);
    }

    // Handle every event before a key; the caller's keys say what is still pending.
    void ns3_run(uint64_t end)
    {
        if (end > 0)
        {
            ns3::Simulator::Stop(ns3::Time(static_cast<int64_t>(end) - 1));
            ns3::Simulator::Run();
        }
        g_pending.clear();
        ns3::Simulator::Destroy();
    }
}
