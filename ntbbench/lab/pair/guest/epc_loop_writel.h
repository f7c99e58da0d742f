/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A host's accessors where a BAR is no plain memory: epc_loop_bridge.c. Given
 * to the compiler with -include, so that ntb_hw_epf.c is as it is.
 */
#ifndef EPC_LOOP_WRITEL_H
#define EPC_LOOP_WRITEL_H

#include <linux/io.h>
#include <linux/pci.h>

void __iomem *epc_loop_iomap(struct pci_dev *pdev, int bar, unsigned long max);
void epc_loop_iounmap(struct pci_dev *pdev, void __iomem *addr);
void epc_loop_writel(u32 val, void __iomem *addr);

#ifdef EPC_LOOP_HOST
#define pci_iomap epc_loop_iomap
#define pci_iounmap epc_loop_iounmap
#undef writel
#define writel epc_loop_writel
#endif

#endif /* EPC_LOOP_WRITEL_H */
