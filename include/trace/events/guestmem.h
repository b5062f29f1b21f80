/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What happens to guest files.  A file is known by the numbers of its device and its
 * inode, as fstat() has them: inodes of different stores may have the same.  Ranges are
 * in pages of 4K, from the start of the file.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM guestmem

#if !defined(_TRACE_GUESTMEM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_GUESTMEM_H

#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/* a memfd, or what KVM_CREATE_GUEST_MEMFD has made, has become a guest file */
TRACE_EVENT(guestmem_create,
	TP_PROTO(const struct inode *inode, const char *store, unsigned int granule_order,
		 unsigned int flags),
	TP_ARGS(inode, store, granule_order, flags),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__string(store, store)
		__field(unsigned int, granule_order)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__assign_str(store);
		__entry->granule_order = granule_order;
		__entry->flags = flags;
	),
	TP_printk("dev=%d:%d ino=%lu store=%s granule_order=%u movable=%u nohugepage=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __get_str(store),
		  __entry->granule_order, __entry->flags & 1, __entry->flags >> 1 & 1)
);

DECLARE_EVENT_CLASS(guestmem_binding,
	TP_PROTO(const struct inode *inode, pgoff_t first, pgoff_t last, u64 addr, u64 guest),
	TP_ARGS(inode, first, last, addr, guest),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned long, nr)
		__field(u64, addr)
		__field(u64, guest)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = first;
		__entry->nr = last - first + 1;
		__entry->addr = addr;
		__entry->guest = guest;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu nr=%lu gfn=%llx guest=%llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, __entry->nr, __entry->addr, __entry->guest)
);

/* a range has been given to a guest (a memslot was made), or taken back */
DEFINE_EVENT(guestmem_binding, guestmem_bind,
	TP_PROTO(const struct inode *inode, pgoff_t first, pgoff_t last, u64 addr, u64 guest),
	TP_ARGS(inode, first, last, addr, guest)
);

DEFINE_EVENT(guestmem_binding, guestmem_unbind,
	TP_PROTO(const struct inode *inode, pgoff_t first, pgoff_t last, u64 addr, u64 guest),
	TP_ARGS(inode, first, last, addr, guest)
);

/* a guest has asked for a page; @order is what it may map at once */
TRACE_EVENT(guestmem_get_pfn,
	TP_PROTO(const struct inode *inode, pgoff_t index, u64 addr, unsigned long pfn,
		 unsigned int order, int ret),
	TP_ARGS(inode, index, addr, pfn, order, ret),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(u64, addr)
		__field(unsigned long, pfn)
		__field(unsigned int, order)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->addr = addr;
		__entry->pfn = ret ? 0 : pfn;
		__entry->order = ret ? 0 : order;
		__entry->ret = ret;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu gfn=%llx pfn=%lx order=%u ret=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, __entry->addr, __entry->pfn, __entry->order, __entry->ret)
);

/* a guest is unmapped from a range: for good, or (moving) because its pages move */
TRACE_EVENT(guestmem_invalidate,
	TP_PROTO(const struct inode *inode, pgoff_t start, pgoff_t end, bool moving),
	TP_ARGS(inode, start, end, moving),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned long, nr)
		__field(bool, moving)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = start;
		__entry->nr = end - start;
		__entry->moving = moving;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu nr=%lu moving=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->index,
		  __entry->nr, __entry->moving)
);

/* a range of a guest's addresses has become private or shared */
TRACE_EVENT(guestmem_convert,
	TP_PROTO(u64 guest, u64 start, u64 end, bool private),
	TP_ARGS(guest, start, end, private),
	TP_STRUCT__entry(
		__field(u64, guest)
		__field(u64, start)
		__field(u64, nr)
		__field(bool, private)
	),
	TP_fast_assign(
		__entry->guest = guest;
		__entry->start = start;
		__entry->nr = end - start;
		__entry->private = private;
	),
	TP_printk("guest=%llu gfn=%llx nr=%llu to=%s", __entry->guest, __entry->start,
		  __entry->nr, __entry->private ? "private" : "shared")
);

DECLARE_EVENT_CLASS(guestmem_folio,
	TP_PROTO(const struct inode *inode, pgoff_t index, unsigned int order, int ret),
	TP_ARGS(inode, index, order, ret),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned int, order)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->order = order;
		__entry->ret = ret;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu order=%u ret=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->index,
		  __entry->order, __entry->ret)
);

/* a large folio has been made into single pages, or single pages into a large folio */
DEFINE_EVENT(guestmem_folio, guestmem_split,
	TP_PROTO(const struct inode *inode, pgoff_t index, unsigned int order, int ret),
	TP_ARGS(inode, index, order, ret)
);

DEFINE_EVENT(guestmem_folio, guestmem_merge,
	TP_PROTO(const struct inode *inode, pgoff_t index, unsigned int order, int ret),
	TP_ARGS(inode, index, order, ret)
);

/* a folio has been moved to other memory, or has not */
TRACE_EVENT(guestmem_migrate,
	TP_PROTO(const struct inode *inode, pgoff_t index, unsigned int order,
		 unsigned long src, unsigned long dst, int src_node, int dst_node, int ret),
	TP_ARGS(inode, index, order, src, dst, src_node, dst_node, ret),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned int, order)
		__field(unsigned long, src)
		__field(unsigned long, dst)
		__field(int, src_node)
		__field(int, dst_node)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->order = order;
		__entry->src = src;
		__entry->dst = dst;
		__entry->src_node = src_node;
		__entry->dst_node = dst_node;
		__entry->ret = ret;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu order=%u pfn=%lx to=%lx node=%d to_node=%d ret=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, __entry->order, __entry->src, __entry->dst,
		  __entry->src_node, __entry->dst_node, __entry->ret)
);

/* a page has a memory error; the guest has lost it */
TRACE_EVENT(guestmem_error,
	TP_PROTO(const struct inode *inode, pgoff_t index, unsigned long pfn,
		 unsigned int order),
	TP_ARGS(inode, index, pfn, order),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned long, pfn)
		__field(unsigned int, order)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->pfn = pfn;
		__entry->order = order;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu pfn=%lx folio_order=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->index,
		  __entry->pfn, __entry->order)
);

#endif /* _TRACE_GUESTMEM_H */

#include <trace/define_trace.h>
