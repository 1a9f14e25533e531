//! `soak`: runs a policy on a million hostile inputs.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io, thread};

use clap::Parser;
use policy_host::Policy;
use serde::{Deserialize, Serialize};
use soak::{Generator, Outcome, Trial};

/// Run a built policy on hostile requests and settings
///
/// Each input must get an answer within the limits for work and memory, and each rejection must
/// have a message. An interrupted run is resumed if the policy is the same.
#[derive(Debug, Parser)]
struct Arguments {
    /// The module
    #[arg(default_value = "policy.wasm")]
    policy: PathBuf,
    /// The number of inputs
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// The seed of the inputs [default: a new one for each run]
    #[arg(long)]
    seed: Option<u64>,
    /// Run only the input with this number, and print the answer; requires --seed
    #[arg(long, requires = "seed")]
    input: Option<u64>,
    /// The directory for the state of the run and for failed inputs
    #[arg(long, default_value = "target/soak")]
    folder: PathBuf,
}

/// The number of inputs in a block, the unit in which they are handed out and recorded.
const BLOCK: u64 = 500;

/// The progress of a run, which is saved to a file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// A run is resumed only with the same module.
    module: u64,
    seed: u64,
    count: u64,
    /// All inputs before this number are done.
    done: u64,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    accepted: u64,
    injected: u64,
    rejected: u64,
    most_memory: u64,
    most_memory_index: u64,
    most_fuel: u64,
    most_fuel_index: u64,
}

impl Tally {
    fn add(&mut self, index: u64, trial: &Trial) {
        match trial.outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Injected => self.injected += 1,
            Outcome::Rejected => self.rejected += 1,
        }
        if trial.memory > self.most_memory {
            (self.most_memory, self.most_memory_index) = (trial.memory, index);
        }
        if trial.fuel > self.most_fuel {
            (self.most_fuel, self.most_fuel_index) = (trial.fuel, index);
        }
    }

    fn merge(&mut self, other: &Tally) {
        self.accepted += other.accepted;
        self.injected += other.injected;
        self.rejected += other.rejected;
        if other.most_memory > self.most_memory {
            (self.most_memory, self.most_memory_index) = (other.most_memory, other.most_memory_index);
        }
        if other.most_fuel > self.most_fuel {
            (self.most_fuel, self.most_fuel_index) = (other.most_fuel, other.most_fuel_index);
        }
    }
}

/// The state that the workers share.
struct Shared {
    state: State,
    /// The next block to hand out.
    next: u64,
    /// Finished blocks after an unfinished one.
    ahead: Vec<(u64, Tally)>,
    failure: Option<(u64, String)>,
}

impl Shared {
    fn take(&mut self) -> Option<u64> {
        let block = self.next;
        let left = self.failure.is_none() && block < self.state.count;
        left.then(|| {
            self.next += BLOCK;
            block
        })
    }

    fn finish(&mut self, block: u64, tally: Tally) {
        self.ahead.push((block, tally));
        while let Some(at) = self.ahead.iter().position(|(block, _)| *block == self.state.done) {
            let (block, tally) = self.ahead.swap_remove(at);
            self.state.tally.merge(&tally);
            self.state.done = (block + BLOCK).min(self.state.count);
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let wasm = fs::read(&arguments.policy).map_err(|error| at(&arguments.policy, error))?;
    let policy = soak::load(&wasm).map_err(|error| error.to_string())?;
    fs::create_dir_all(&arguments.folder).map_err(|error| at(&arguments.folder, error))?;
    if let (Some(seed), Some(index)) = (arguments.seed, arguments.input) {
        return one(arguments, &policy, seed, index);
    }

    let file = arguments.folder.join("state.json");
    let state = begin(arguments, &wasm, &file);
    let seed = state.seed;
    match state.done {
        0 => println!("{} inputs of seed {seed}", grouped(state.count)),
        done => {
            println!("{} inputs of seed {seed}, {} of them done before", grouped(state.count), grouped(done))
        }
    }
    let first = state.done;
    let shared = Mutex::new(Shared { next: first, state, ahead: Vec::new(), failure: None });
    let generator = Generator::new(seed);
    let began = Instant::now();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> =
            (0..workers).map(|_| scope.spawn(|| work(&shared, &generator, &policy))).collect();
        let reporter = scope.spawn(|| report(&shared, first, began, &file, &over));
        for worker in running {
            if worker.join().is_err() {
                lock(&shared).failure.get_or_insert((u64::MAX, "a worker panicked".to_owned()));
            }
        }
        over.store(true, Ordering::Relaxed);
        reporter.thread().unpark();
    });

    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((index, why)) = shared.failure {
        println!("FAILED: input {index} of seed {seed}: {why}");
        let path = arguments.folder.join(format!("seed-{seed}-input-{index}"));
        fs::write(&path, generator.input(index).payload).map_err(|error| at(&path, error))?;
        println!("The input is in {}. Again: make soak SEED={seed} INPUT={index}", path.display());
        return Ok(false);
    }
    // A finished run is not resumed.
    fs::remove_file(&file).map_err(|error| at(&file, error))?;
    let tally = shared.state.tally;
    println!("done in {}: {}", spoken(began.elapsed()), told(&tally));
    println!(
        "the one with the most work is input {}, the one with the most memory {}, of seed {seed}",
        tally.most_fuel_index, tally.most_memory_index
    );
    Ok(true)
}

/// The interrupted run, or a new one.
fn begin(arguments: &Arguments, wasm: &[u8], file: &Path) -> State {
    let mut hasher = DefaultHasher::new();
    wasm.hash(&mut hasher);
    let module = hasher.finish();
    let kept = fs::read(file).ok().and_then(|text| serde_json::from_slice::<State>(&text).ok());
    let fits = |state: &State| {
        state.module == module
            && state.count == arguments.count
            && arguments.seed.is_none_or(|seed| seed == state.seed)
    };
    kept.filter(fits).unwrap_or_else(|| {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seed = arguments.seed.unwrap_or(clock);
        State { module, seed, count: arguments.count, ..State::default() }
    })
}

fn work(shared: &Mutex<Shared>, generator: &Generator, policy: &Policy) {
    loop {
        let Some(block) = lock(shared).take() else { return };
        let end = (block + BLOCK).min(lock(shared).state.count);
        let mut tally = Tally::default();
        for index in block..end {
            match Trial::of(policy, &generator.input(index)) {
                Ok(trial) => tally.add(index, &trial),
                Err(why) => {
                    lock(shared).failure.get_or_insert((index, why));
                    return;
                }
            }
        }
        lock(shared).finish(block, tally);
    }
}

/// Prints and saves the progress until the run is finished.
fn report(shared: &Mutex<Shared>, first: u64, began: Instant, file: &Path, over: &AtomicBool) {
    let terminal = stdout().is_terminal();
    let every = Duration::from_secs(if terminal { 1 } else { 15 });
    let mut shown = Instant::now();
    loop {
        thread::park_timeout(Duration::from_secs(1));
        let (kept, line) = {
            let shared = lock(shared);
            (
                serde_json::to_vec(&shared.state).unwrap_or_default(),
                progress(&shared.state, first, began.elapsed()),
            )
        };
        // Written to another file and renamed, so that an interruption leaves a complete file.
        let beside = file.with_extension("new");
        let written = fs::write(&beside, kept).and_then(|()| fs::rename(&beside, file));
        if let Err(error) = written {
            eprintln!("the state is not kept: {}: {error}", file.display());
        }
        let last = over.load(Ordering::Relaxed);
        if last || shown.elapsed() >= every {
            shown = Instant::now();
            let line = if terminal { format!("\r\x1b[K{line}") } else { line + "\n" };
            let _ = stdout().write_all(line.as_bytes()).and_then(|()| stdout().flush());
        }
        if last {
            if terminal {
                println!();
            }
            return;
        }
    }
}

fn progress(state: &State, first: u64, took: Duration) -> String {
    let (done, millis) = (state.done - first, took.as_millis().max(1));
    let rate = u128::from(done) * 1_000 / millis;
    let mut line = format!("{} of {}, {rate}/s", grouped(state.done), grouped(state.count));
    if let Some(left) = (u128::from(state.count - state.done)).checked_div(rate) {
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(u64::MAX));
        let _ = write!(line, ", {} left", spoken(left));
    }
    line + "; " + &told(&state.tally)
}

fn told(tally: &Tally) -> String {
    format!(
        "{} rejected, {} injected, {} accepted as they are; at most {} MiB and {} million units of work",
        grouped(tally.rejected),
        grouped(tally.injected),
        grouped(tally.accepted),
        tally.most_memory.div_ceil(1024 * 1024),
        tally.most_fuel.div_ceil(1_000_000)
    )
}

/// Runs one input and prints everything about it.
fn one(arguments: &Arguments, policy: &Policy, seed: u64, index: u64) -> Result<bool, String> {
    let input = Generator::new(seed).input(index);
    let path = arguments.folder.join(format!("seed-{seed}-input-{index}"));
    fs::write(&path, &input.payload).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{} with {} bytes, see {}", input.operation, input.payload.len(), path.display());
    match Trial::of(policy, &input) {
        Ok(trial) => {
            println!("{:?}, {} units of work, {} bytes of memory", trial.outcome, trial.fuel, trial.memory);
            println!("{}", String::from_utf8_lossy(&trial.response));
            Ok(true)
        }
        Err(why) => {
            println!("FAILED: {why}");
            Ok(false)
        }
    }
}

fn lock<'m>(shared: &'m Mutex<Shared>) -> MutexGuard<'m, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `1,000,000`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
