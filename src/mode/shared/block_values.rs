//! Types of values that several blocks of the settings have.

use crate::annotations::reader::url_path_flaw;
use crate::settings::reader::SettingsReader;

/// The path of a URL. An empty value means the default.
pub fn url_path(block: &mut SettingsReader<'_, '_>, key: &'static str, default: &str) -> String {
    let path = block.name(key).unwrap_or(default);
    if let Some(flaw) = url_path_flaw(path) {
        block.problem(key, path, flaw);
    }
    path.to_owned()
}

/// A port that an unprivileged process may listen on.
pub fn unprivileged_port(block: &mut SettingsReader<'_, '_>, key: &'static str, default: u16) -> u16 {
    let number = block.number(key, 1024, u32::from(u16::MAX), u32::from(default));
    u16::try_from(number).unwrap_or(default)
}
