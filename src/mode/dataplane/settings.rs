//! The settings of dataplane mode.

use crate::settings::reader::SettingsReader;

#[derive(Debug)]
pub struct Settings {}

impl Settings {
    pub fn read(_top: &mut SettingsReader<'_, '_>) -> Self {
        Settings {}
    }
}
