//! An allocator for a WebAssembly instance that answers one short call.
//!
//! The policy server makes an instance for each request and throws it away after the
//! answer. What a general allocator does to find and join free memory is then in vain,
//! and so is the page that it writes to at the far end of the memory. Here what is asked
//! for comes from an [`Arena`], one piece after the other; what that cannot hold comes
//! from the system's allocator. `docs/performance.md` has the figures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

/// The first bytes that are asked for, up to `BYTES`; the system has the others.
///
/// What is given back is free for others if it is the last piece, or the largest hole
/// among them; all is once no piece is left: an instance that answers one call after the
/// other begins each at the same place.
#[derive(Debug)]
// What every call writes to comes first, on the page of the first pieces.
#[repr(C)]
pub struct Arena<const BYTES: usize> {
    /// Where the next piece may begin.
    used: Cell<usize>,
    /// Where the pieces begin that are not there to stay.
    kept: Cell<usize>,
    /// How many of those there are.
    live: Cell<usize>,
    /// Free memory before the last piece: where it begins and ends.
    hole: Cell<(usize, usize)>,
    bytes: UnsafeCell<Bytes<BYTES>>,
}

#[derive(Debug)]
#[repr(align(16))]
struct Bytes<const BYTES: usize>([MaybeUninit<u8>; BYTES]);

/// Of [`Bytes`].
const ALIGN: usize = 16;

// SAFETY: an instance without threads has nobody to share it with.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl<const BYTES: usize> Sync for Arena<BYTES> {}

impl<const BYTES: usize> Arena<BYTES> {
    pub const fn new() -> Self {
        Arena {
            used: Cell::new(0),
            kept: Cell::new(0),
            live: Cell::new(0),
            hole: Cell::new((0, 0)),
            bytes: UnsafeCell::new(Bytes([MaybeUninit::uninit(); BYTES])),
        }
    }

    /// To be called before anything else: a page costs one fault if it is written to
    /// first, and two if it is read before.
    pub fn begin(&self) {
        self.live.set(0);
    }

    /// What was asked for until now is there to stay: its memory is no other's, also if
    /// it is given back.
    pub fn keep(&self) {
        self.kept.set(self.used.get());
        self.live.set(0);
        self.hole.set((0, 0));
    }

    fn base(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// Where in the arena a piece begins, if it is there.
    fn place(&self, piece: *mut u8) -> Option<usize> {
        let place = piece.addr().wrapping_sub(self.base().addr());
        (place < BYTES).then_some(place)
    }

    /// Takes a piece, if there is room for it, and returns where it begins.
    fn take(&self, layout: Layout) -> Option<usize> {
        if layout.align() > ALIGN {
            return None;
        }
        let (hole, hole_end) = self.hole.get();
        let place = if let Some((place, end)) = within(hole, hole_end, layout) {
            self.hole.set((end, hole_end));
            place
        } else {
            let (place, end) = within(self.used.get(), BYTES, layout)?;
            self.used.set(end);
            place
        };
        self.live.set(self.live.get().wrapping_add(1));
        Some(place)
    }

    fn give_back(&self, place: usize, size: usize) {
        if place < self.kept.get() {
            return;
        }
        let live = self.live.get().wrapping_sub(1);
        self.live.set(live);
        let end = place.wrapping_add(size);
        let (hole, hole_end) = self.hole.get();
        if live == 0 {
            self.used.set(self.kept.get());
            self.hole.set((0, 0));
        } else if end == self.used.get() {
            if place == hole_end {
                self.used.set(hole);
                self.hole.set((0, 0));
            } else {
                self.used.set(place);
            }
        } else if place == hole_end {
            self.hole.set((hole, end));
        } else if end == hole {
            self.hole.set((place, hole_end));
        } else if size > hole_end.wrapping_sub(hole) {
            self.hole.set((place, end));
        }
    }

    /// Makes a piece as large as asked for where it is, if that can be.
    fn resize(&self, place: usize, size: usize, new: usize) -> bool {
        let end = place.wrapping_add(new);
        if place >= self.kept.get() && place.wrapping_add(size) == self.used.get() && end <= BYTES {
            self.used.set(end);
            return true;
        }
        new <= size
    }
}

/// Where a piece begins and ends, if there is room for it between two places.
fn within(begin: usize, limit: usize, layout: Layout) -> Option<(usize, usize)> {
    let mask = layout.align().wrapping_sub(1);
    let place = begin.wrapping_add(mask) & !mask;
    // A place is in the arena, and a layout's size at most half of what there can be.
    let end = place.wrapping_add(layout.size());
    (end <= limit).then_some((place, end))
}

impl<const BYTES: usize> Default for Arena<BYTES> {
    fn default() -> Self {
        Arena::new()
    }
}

// SAFETY: a piece of the arena is taken from `used` on, or from the hole. `used` only goes
// back over what was given back, or to `kept` when no piece is left; the hole is what was
// given back, and is before `used`. So no two pieces overlap. All are aligned, as `bytes`
// is and `take` looks to it. What is not in the arena is the system's, from the beginning
// to the end.
unsafe impl<const BYTES: usize> GlobalAlloc for Arena<BYTES> {
    // One function, not one in each place that asks.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            // SAFETY: it is inside `bytes`.
            Some(place) => unsafe { self.base().add(place) },
            // SAFETY: the caller's promises about the layout are those that it needs.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.place(piece) {
            Some(place) => self.give_back(place, layout.size()),
            // SAFETY: what is not in the arena comes from the system.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(place) = self.place(piece) else {
            // SAFETY: as above.
            return unsafe { System.realloc(piece, layout, size) };
        };
        if self.resize(place, layout.size(), size) {
            return piece;
        }
        // SAFETY: the caller promises that this is a layout, that `piece` has the old one
        // and that nobody uses it any more; the new piece is another, and larger.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(piece, layout.size());
                self.dealloc(piece, layout);
            }
            new
        }
    }
}

/// Enough for the call about a usual pod.
///
/// It follows what the module's other crates have, on the same page, as long as none of
/// those that have any comes later in the alphabet: `written pages` in
/// `bench/budgets.json` would tell.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
#[global_allocator]
pub static MEMORY: Arena<{ 256 * 1024 }> = Arena::new();

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: usize = 4096;

    /// A piece, and what was written to it.
    struct Piece {
        at: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Piece {
        fn new(arena: &Arena<BYTES>, size: usize, align: usize, mark: u8) -> Self {
            let layout = Layout::from_size_align(size, align).unwrap();
            let at = unsafe { arena.alloc(layout) };
            assert!(!at.is_null() && at.addr().is_multiple_of(align));
            unsafe { at.write_bytes(mark, size) };
            Piece { at, layout, mark }
        }

        fn check(&self, bytes: usize) {
            let written = unsafe { std::slice::from_raw_parts(self.at, bytes) };
            assert!(written.iter().all(|byte| *byte == self.mark), "overwritten");
        }

        fn resize(&mut self, arena: &Arena<BYTES>, size: usize) {
            let kept = size.min(self.layout.size());
            self.at = unsafe { arena.realloc(self.at, self.layout, size) };
            self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
            assert!(self.at.addr().is_multiple_of(self.layout.align()));
            self.check(kept);
            unsafe { self.at.write_bytes(self.mark, size) };
        }

        fn free(self, arena: &Arena<BYTES>) {
            self.check(self.layout.size());
            unsafe { arena.dealloc(self.at, self.layout) };
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(usize, u32),
        Resize(usize, usize),
        Free(usize),
        Keep,
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![1..64_usize, 1..3000_usize];
        prop_oneof![
            8 => (size.clone(), 0..7_u32).prop_map(|(size, align)| Step::Take(size, align)),
            6 => (any::<usize>(), size).prop_map(|(which, size)| Step::Resize(which, size)),
            8 => any::<usize>().prop_map(Step::Free),
            1 => Just(Step::Keep),
        ]
    }

    proptest! {
        #[test]
        fn no_piece_overwrites_another(steps in prop::collection::vec(step(), 0..200)) {
            let arena = Arena::new();
            let mut pieces: Vec<Piece> = Vec::new();
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Take(size, align) => {
                        pieces.push(Piece::new(&arena, size, 1 << align, at as u8));
                    }
                    Step::Resize(which, size) if !pieces.is_empty() => {
                        let which = which % pieces.len();
                        pieces[which].resize(&arena, size);
                    }
                    Step::Free(which) if !pieces.is_empty() => {
                        let which = which % pieces.len();
                        pieces.swap_remove(which).free(&arena);
                    }
                    Step::Keep => arena.keep(),
                    _ => (),
                }
            }
            for piece in pieces {
                piece.free(&arena);
            }
            prop_assert_eq!(arena.used.get(), arena.kept.get());
        }
    }

    #[test]
    fn each_call_begins_where_the_first_one_did() {
        let arena = Arena::new();
        let stays = Piece::new(&arena, 100, 1, 1);
        arena.keep();
        let mut begin = None;
        for mark in 2..100 {
            let (first, second) = (Piece::new(&arena, 1500, 8, mark), Piece::new(&arena, 1500, 8, mark));
            assert_eq!(*begin.get_or_insert(first.at), first.at);
            first.free(&arena);
            second.free(&arena);
        }
        stays.check(100);
        assert!(arena.place(begin.unwrap()).is_some());
    }

    #[test]
    fn what_is_given_back_among_others_is_used_again() {
        let arena = Arena::new();
        let [first, second, third, last] = [1, 2, 3, 4].map(|mark| Piece::new(&arena, 64, 1, mark));
        let begin = second.at;
        third.free(&arena);
        second.free(&arena);
        let whole = Piece::new(&arena, 128, 1, 5);
        assert_eq!(whole.at, begin);
        whole.free(&arena);
        last.free(&arena);
        let end = Piece::new(&arena, 1024, 1, 6);
        assert_eq!(end.at, begin);
        for piece in [first, end] {
            piece.free(&arena);
        }
    }

    #[test]
    fn what_does_not_fit_is_the_systems() {
        let arena = Arena::new();
        let mut grows = Piece::new(&arena, BYTES, 16, 1);
        assert!(arena.place(grows.at).is_some());
        let other = Piece::new(&arena, 1, 1, 2);
        assert!(arena.place(other.at).is_none());
        grows.resize(&arena, BYTES + 1);
        assert!(arena.place(grows.at).is_none());
        let aligned = Piece::new(&arena, 8, 64, 3);
        assert!(arena.place(aligned.at).is_none());
        grows.resize(&arena, 8);
        for piece in [grows, other, aligned] {
            piece.free(&arena);
        }
    }
}
