// SPDX-License-Identifier: GPL-2.0
/*
 * epc_loop: what the controller claims to endpoint functions, and does.
 *
 * The defaults are what pci-epf-vntb needs. Without "translates" the controller
 * is its two sides' memory and nothing more: see epc_loop_memory.c.
 */
#include <linux/log2.h>
#include <linux/module.h>

#include "epc_loop.h"

static uint reserved_bars = BIT(BAR_1) | BIT(BAR_3);
module_param(reserved_bars, uint, 0444);
MODULE_PARM_DESC(reserved_bars, "Bit n: BARn is not to be had, as NXP's 1 and 3");

static uint disabled_bars;
module_param(disabled_bars, uint, 0444);
MODULE_PARM_DESC(disabled_bars, "Bit n: there is no BARn");

static uint only_64bit_bars;
module_param(only_64bit_bars, uint, 0444);
MODULE_PARM_DESC(only_64bit_bars, "Bit n: BARn has 64 bits, its upper half in BARn+1");

static ulong fixed_bars[PCI_STD_NUM_BARS];
module_param_array(fixed_bars, ulong, NULL, 0444);
MODULE_PARM_DESC(fixed_bars, "The one size that each BAR may have; 0: any");

static ulong align = SZ_4K;
module_param(align, ulong, 0444);
MODULE_PARM_DESC(align, "Of what a BAR or an outbound window leads to");

static bool unaligned;
module_param(unaligned, bool, 0444);
MODULE_PARM_DESC(unaligned, "Tell functions how to map what is not aligned");

static bool msi = true;
module_param(msi, bool, 0444);
MODULE_PARM_DESC(msi, "Raise MSIs");

static uint msix;
module_param(msix, uint, 0444);
MODULE_PARM_DESC(msix, "MSI-Xs at most; 0: none are offered");

static bool intx;
module_param(intx, bool, 0444);
MODULE_PARM_DESC(intx, "Raise INTx");

static bool dynamic;
module_param(dynamic, bool, 0444);
MODULE_PARM_DESC(dynamic, "A BAR may be led to the doorbell register while in use");

static bool linkup;
module_param(linkup, bool, 0444);
MODULE_PARM_DESC(linkup, "Tell functions when the host comes");

static bool translates;
module_param(translates, bool, 0444);
MODULE_PARM_DESC(translates, "Outbound windows lead to any memory of the host");

static uint windows = 1;
module_param(windows, uint, 0444);
MODULE_PARM_DESC(windows, "How many of them there are");

static ulong window = SZ_1M;
module_param(window, ulong, 0444);
MODULE_PARM_DESC(window, "What one can lead to at most, in bytes");

bool epc_loop_features_valid(void)
{
	return is_power_of_2(align) && is_power_of_2(window) &&
	       window >= PAGE_SIZE && align <= window && windows &&
	       windows <= EPC_LOOP_REACHES && msix <= EPC_LOOP_MSIXS;
}

/* Whether there is an operation that aligns for functions. */
bool epc_loop_aligns(void)
{
	return unaligned;
}

static enum pci_epc_bar_type bar_type(enum pci_barno barno)
{
	if (reserved_bars & BIT(barno))
		return BAR_RESERVED;
	if (disabled_bars & BIT(barno))
		return BAR_DISABLED;
	return fixed_bars[barno] ? BAR_FIXED : BAR_PROGRAMMABLE;
}

void epc_loop_claim(struct epc_loop *loop)
{
	struct pci_epc_features *features = &loop->features;
	enum pci_barno barno;

	features->msi_capable = msi;
	features->msix_capable = msix > 0;
	features->intx_capable = intx;
	features->dynamic_inbound_mapping = dynamic;
	features->linkup_notifier = linkup;
	features->align = align;
	for (barno = BAR_0; barno < PCI_STD_NUM_BARS; barno++) {
		features->bar[barno].type = bar_type(barno);
		features->bar[barno].fixed_size = fixed_bars[barno];
		features->bar[barno].only_64bit = only_64bit_bars & BIT(barno);
	}
	loop->vectors = max(msix, EPC_LOOP_MSIS);
	loop->translates = translates;
	loop->reach_size = window;
}

/* Identical windows are as many as epc_loop_memory.c lays out. */
size_t epc_loop_outbound_size(struct epc_loop *loop)
{
	size_t most = EPC_LOOP_WINDOWS * loop->window_size;

	return loop->translates ? min(most, windows * loop->reach_size) : most;
}
