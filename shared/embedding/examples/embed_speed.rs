//! Prints how fast a model folder embeds on this machine: one line for each device, number of threads and
//! shape.
//!
//! usage: `embed_speed MODEL_DIR`
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use toolweaver_embedding::{Candle, DeviceChoice, DeviceKind, Model, Prefixes, Tokens};

/// Texts and tokens of each.
const SHAPES: [(usize, usize); 7] = [(1, 8), (1, 16), (1, 32), (8, 32), (32, 48), (32, 128), (256, 48)];
const TIME_PER_SHAPE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir: PathBuf = std::env::args_os().nth(1).ok_or("usage: embed_speed MODEL_DIR")?.into();
    let cores = std::thread::available_parallelism()?;

    let started = Instant::now();
    let first_choice = Candle::load(&dir, DeviceChoice::Auto, None, &Prefixes::default())?;
    println!("{} loaded in {} ms", first_choice.fingerprint(), started.elapsed().as_millis());
    if first_choice.device() == DeviceKind::Cuda {
        measure(&first_choice, "device=cuda")?;
    } else {
        println!("no GPU, or a binary built without the feature `cuda`: only the cpu is measured");
    }
    for threads in [NonZeroUsize::MIN, cores] {
        measure(
            &Candle::load(&dir, DeviceChoice::Cpu, Some(threads), &Prefixes::default())?,
            &format!("device=cpu threads={threads}"),
        )?;
    }
    Ok(())
}

fn measure(model: &Candle, label: &str) -> Result<(), Box<dyn std::error::Error>> {
    for (texts, tokens) in SHAPES {
        let batch: Vec<Tokens> = (0..texts).map(|text| any_text(text, tokens)).collect();
        model.encode(&batch)?;
        let mut took = Vec::new();
        let started = Instant::now();
        while started.elapsed() < TIME_PER_SHAPE || took.len() < 3 {
            let started = Instant::now();
            model.encode(&batch)?;
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let (least, median) = (took[0].as_secs_f64(), took[took.len() / 2].as_secs_f64());
        let tokens_per_s = f64::from(u32::try_from(texts * tokens)?) / median;
        println!(
            "{label} texts={texts} tokens={tokens} median_ms={:.2} min_ms={:.2} tokens_per_s={tokens_per_s:.0}",
            median * 1e3,
            least * 1e3,
        );
    }
    Ok(())
}

/// Ordinary words from the middle of the vocabulary; which ones makes no difference to the time.
fn any_text(seed: usize, tokens: usize) -> Tokens {
    Tokens::new(
        (0..tokens)
            .map(|i| u32::try_from(1000 + (seed * 7919 + i * 104_729) % 19_000).unwrap_or(1000))
            .collect(),
    )
}
